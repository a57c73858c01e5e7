// Attention and its backward, for cotangents packed as a pull back packs them, against autograd in double precision.
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <limits>

#include "autograd_oracle.h"
#include "by_autograd.h"

namespace whence::transformer {
namespace {

struct AttentionCase {
  const char* name;
  AttentionShape shape;
  AttentionRules rules = {};
  PositionBias bias = PositionBias::none;
};

AttentionShape shape_of(std::int64_t heads, std::int64_t key_value_heads, std::int64_t head_size,
                        std::int64_t window = 0, double softcap = 0) {
  const double scale = 1 / std::sqrt(static_cast<double>(head_size));
  return {heads, key_value_heads, head_size, Sight::causal, window, scale, softcap};
}

/// The first text fits a register, the others neither a tile nor a panel of keys; the last starts behind a prefix.
constexpr std::int64_t kLengths[] = {1, 9, 70, 131, 67};
constexpr std::int64_t kPrefixed = 4, kPrefix = 21;
/// Where steps are read: not in order of the text, at the same place twice, and more than go together.
const std::vector<std::vector<std::int64_t>> kPositions = {
    {0}, {0, 3, 8}, {2, 47, 48, 48, 63, 64, 69}, {5, 90, 130}, {21, 22, 40, 40, 64, 66}};

template <class T>
class PreparedAttention {
 public:
  PreparedAttention(const PreparedAttention&) = delete;
  PreparedAttention(const AttentionShape& shape, std::uint64_t seed) : shape(shape), random(kType<T>, seed) {
    // Two texts lie in the pass whose prefix is shared; its rows are wider than keys and values alone.
    prefix.layers = {random({40, shape.width()})};
    prefix.key_column = shape.queries();
    prefix.value_column = shape.queries() + shape.keys();
    prefix.first_row = {0, 15};
    prefix.length = {15, 25};
    for (std::int64_t b = 0; b < std::ssize(kLengths); ++b)
      if (b == kPrefixed)
        layout.add({b, 0, kPrefix, kLengths[b] - kPrefix, &prefix, /*prefix_text=*/1});
      else
        layout.add({b, 0, 0, kLengths[b]});
    rows = random({layout.rows(), shape.width()});
    for (std::int64_t b = 0; b < std::ssize(kLengths); ++b) texts.push_back(packed_steps(b));
  }

  /// Rows [end,Q] of a whole text, with those of its prefix; own rows from `start` on.
  Tensor whole(std::int64_t text, const Tensor& own) const {
    const Segment& segment = layout.segments[static_cast<std::size_t>(text)];
    return segment.start == 0 ? own
                              : at::cat({prefix.layers[0].narrow(0, 15, segment.start).to(own.scalar_type()), own});
  }
  Tensor own_rows(std::int64_t text) const {
    const Segment& segment = layout.segments[static_cast<std::size_t>(text)];
    return rows.narrow(0, segment.row, segment.count);
  }

  AttentionShape shape;
  RandomTensors random;
  KeyValues prefix;
  RowLayout layout;
  Tensor rows;
  std::vector<CotangentSteps> texts;
  std::int64_t packed = 0;

 private:
  CotangentSteps packed_steps(std::int64_t b) {
    const Segment& segment = layout.segments[static_cast<std::size_t>(b)];
    CotangentSteps steps;
    steps.segment = b;
    steps.position = kPositions[static_cast<std::size_t>(b)];
    for (std::size_t k = 0; k < steps.position.size(); ++k) steps.step.push_back(static_cast<std::int64_t>(k));
    steps.first_row = packed;
    for (std::int64_t position = segment.start; position <= steps.position.back(); ++position) {
      steps.offset.push_back(packed - steps.first_row);
      steps.active.push_back(std::ranges::count_if(steps.position, [&](auto read) { return read < position; }));
      packed += std::ssize(steps.position) - steps.active.back();
    }
    return steps;
  }
};

/// The biases of a case for texts of up to `longest` positions.
template <class T>
class Biases {
 public:
  Biases(const AttentionCase& of, std::int64_t longest, RandomTensors& random)
      : causal_(of.shape.sight == Sight::causal) {
    config_.heads = of.shape.heads;
    config_.scale = of.shape.scale;
    config_.position_bias = of.bias;
    config_.relative_buckets = 12;
    config_.relative_distance = 50;
    relative_ = random({config_.heads, config_.relative_buckets});
    if (of.bias != PositionBias::none) engine_.emplace(config_, relative_, causal_, longest);
  }

  const ScoreBias<T>* engine() const { return engine_ ? &*engine_ : nullptr; }
  Tensor of(std::int64_t count) const { return oracle::score_bias(config_, relative_, causal_, count); }

 private:
  AttentionConfig config_;
  bool causal_;
  Tensor relative_;
  std::optional<ScoreBias<T>> engine_;
};

class AttentionBackward : public ::testing::TestWithParam<AttentionCase> {
 protected:
  template <class T>
  static void forward_equals_the_formula() {
    const AttentionShape& shape = GetParam().shape;
    PreparedAttention<T> prepared(shape, 3);
    constexpr std::int64_t kLongest = 131;
    Tensor mixed = at::full({prepared.layout.rows(), shape.queries()}, std::numeric_limits<T>::quiet_NaN(), kType<T>);
    Tensor again = mixed.clone();
    Tensor weights = at::zeros({std::ssize(kLengths), shape.heads, kLongest, kLongest}, kType<T>);
    const Biases<T> biases(GetParam(), kLongest, prepared.random);
    attend<T>(shape, biases.engine(), prepared.layout, 0, prepared.rows, mixed, &weights);
    attend<T>(shape, biases.engine(), prepared.layout, 0, prepared.rows, again);
    EXPECT_TRUE(relatively_near(again, mixed, 0));
    for (std::int64_t b = 0; b < std::ssize(kLengths); ++b) {
      SCOPED_TRACE(::testing::Message() << "text " << b);
      const Segment& segment = prepared.layout.segments[static_cast<std::size_t>(b)];
      Tensor expected_weights;
      const Tensor expected = oracle::attend_rows(shape, prepared.whole(b, prepared.own_rows(b)).to(at::kDouble),
                                                  biases.of(segment.end()), {}, &expected_weights);
      EXPECT_TRUE(relatively_near(mixed.narrow(0, segment.row, segment.count),
                                  expected.narrow(0, segment.start, segment.count), kTolerance<T>));
      const auto own = [&](const Tensor& x) {
        return x.narrow(1, segment.start, segment.count).narrow(2, 0, segment.end());
      };
      EXPECT_TRUE(relatively_near(own(weights[b]), own(expected_weights), kTolerance<T>));
      for (const std::int64_t i : {std::int64_t{0}, segment.count / 2, segment.count - 1})
        for (std::int64_t h = 0; h < shape.heads; ++h) {
          const auto row =
              attention_weights<T>(shape, biases.engine(), prepared.layout, 0, prepared.rows, segment.row + i, h);
          const std::int64_t end = shape.sight == Sight::all ? segment.end() : segment.start + i + 1;
          ASSERT_EQ(std::ssize(row), end);
          EXPECT_TRUE(relatively_near(at::tensor(at::ArrayRef<T>(row), kType<T>),
                                      expected_weights[h][segment.start + i].narrow(0, 0, end), kTolerance<T>));
        }
    }
  }

  template <class T>
  static void equals_autograd(bool read_only) {
    const AttentionShape& shape = GetParam().shape;
    const AttentionRules& rules = GetParam().rules;
    PreparedAttention<T> prepared(shape, 4);
    std::int64_t steps = 0;
    for (const CotangentSteps& text : prepared.texts) steps += std::ssize(text.step);
    const Tensor mixed = prepared.random({read_only ? steps : prepared.packed, shape.queries()});
    Tensor got = at::full({prepared.packed, shape.width()}, std::numeric_limits<T>::quiet_NaN(), kType<T>);
    const Biases<T> biases(GetParam(), 131, prepared.random);
    attention_pull_back<T>(shape, biases.engine(), rules, prepared.layout, 0, prepared.rows, prepared.texts, read_only,
                           mixed, got);

    const oracle::Rules reference_rules{false, rules.frozen_softmax, rules.product_factor};
    std::int64_t step = 0;
    for (std::size_t b = 0; b < prepared.texts.size(); ++b) {
      const CotangentSteps& text = prepared.texts[b];
      const Segment& segment = prepared.layout.segments[b];
      const auto forward = [&](const auto& leaves) {
        return oracle::attend_rows(shape, prepared.whole(segment.text, leaves[0]), biases.of(segment.end()),
                                   reference_rules)
            .narrow(0, segment.start, segment.count);
      };
      std::vector<Tensor> packed_rows, cotangents;
      for (std::int64_t k = 0; k < std::ssize(text.step); ++k, ++step) {
        const std::int64_t count = text.position[static_cast<std::size_t>(k)] + 1 - segment.start;
        std::vector<std::int64_t> rows;
        for (std::int64_t i = 0; i < count; ++i) rows.push_back(text.row(i, k));
        packed_rows.push_back(at::tensor(rows, at::kLong));
        cotangents.push_back(at::zeros({segment.count, shape.queries()}, kType<T>));
        if (read_only)
          cotangents.back()[count - 1].copy_(mixed[step]);
        else
          cotangents.back().narrow(0, 0, count).copy_(mixed.index_select(0, packed_rows.back()));
      }
      const auto expected = by_autograd(forward, {prepared.own_rows(segment.text)}, cotangents);
      for (std::size_t k = 0; k < expected.size(); ++k)
        EXPECT_TRUE(relatively_near(got.index_select(0, packed_rows[k]),
                                    expected[k][0].narrow(0, 0, packed_rows[k].size(0)), kTolerance<T>))
            << "text " << b << ", step " << k;
    }
  }
};

TEST_P(AttentionBackward, ItsForwardFollowsTheFormula) {
  forward_equals_the_formula<float>();
  forward_equals_the_formula<double>();
}

TEST_P(AttentionBackward, EqualsAutogradInFloat) { equals_autograd<float>(/*read_only=*/false); }
TEST_P(AttentionBackward, EqualsAutogradInDouble) { equals_autograd<double>(/*read_only=*/false); }
TEST_P(AttentionBackward, OfReadRowsEqualsAutogradInFloat) { equals_autograd<float>(/*read_only=*/true); }
TEST_P(AttentionBackward, OfReadRowsEqualsAutogradInDouble) { equals_autograd<double>(/*read_only=*/true); }

const std::vector<AttentionCase> kCases = {
    {"one_key_per_query", shape_of(3, 3, 4)},
    {"shared_keys", shape_of(4, 2, 4)},
    {"one_key_for_all", shape_of(4, 1, 4)},
    {"window", shape_of(4, 2, 4, 3)},
    {"wide_window", shape_of(2, 1, 4, 65)},
    {"one_panel", shape_of(2, 1, 64)},
    {"part_of_a_panel", shape_of(3, 3, 80)},
    {"two_panels", shape_of(2, 1, 128, 50)},
    {"frozen_softmax", shape_of(4, 2, 4), {true, 1}},
    {"scaled_products", shape_of(4, 2, 4, 7), {false, 0.5}},
    {"frozen_and_scaled", shape_of(4, 2, 4), {true, 0.25}},
    {"soft_cap", shape_of(4, 2, 4, 0, 1.5)},
    {"soft_cap_in_a_window_with_scaled_products", shape_of(4, 2, 4, 30, 0.7), {false, 0.5}},
    {"alibi", shape_of(4, 4, 4), {}, PositionBias::alibi},
    {"alibi_of_six_heads_in_a_window", shape_of(6, 3, 4, 40), {}, PositionBias::alibi},
    {"alibi_rounded", shape_of(5, 1, 4), {}, PositionBias::alibi_rounded},
    {"alibi_padded", shape_of(6, 6, 4), {}, PositionBias::alibi_padded},
    {"relative", shape_of(4, 2, 4), {false, 0.5}, PositionBias::relative},
    {"relative_and_soft_cap", shape_of(4, 2, 4, 0, 2), {}, PositionBias::relative},
    {"relative_and_frozen_softmax", shape_of(4, 2, 4), {true, 1}, PositionBias::relative}};

INSTANTIATE_TEST_SUITE_P(Cases, AttentionBackward, ::testing::ValuesIn(kCases),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(AttentionDifferences, EqualTheBackward) {
  for (const std::int64_t window : {0, 5}) {
    PreparedAttention<double> prepared(shape_of(4, 2, 4, window), 5);
    // All of what comes out of the last row of each text.
    prepared.texts.clear();
    std::int64_t packed = 0;
    for (const Segment& segment : prepared.layout.segments) {
      CotangentSteps text{segment.text, {0}, {segment.end() - 1}, packed};
      for (std::int64_t i = 0; i < segment.count; ++i) {
        text.offset.push_back(i);
        text.active.push_back(0);
      }
      packed += segment.count;
      prepared.texts.push_back(text);
    }
    const Tensor c = prepared.random({packed, prepared.shape.queries()});
    Tensor gradient = at::zeros({packed, prepared.shape.width()}, at::kDouble);
    attention_pull_back<double>(prepared.shape, nullptr, {}, prepared.layout, 0, prepared.rows, prepared.texts, false,
                                c, gradient);
    const auto forward = [&](const Tensor& rows) {
      Tensor mixed = at::zeros({packed, prepared.shape.queries()}, at::kDouble);
      attend<double>(prepared.shape, nullptr, prepared.layout, 0, rows, mixed);
      return mixed;
    };
    expect_differences(forward, prepared.rows, c, gradient, prepared.random);
  }
}

/// Whole texts whose every row sees all of the others, with cotangents at all rows of a few steps.
template <class T>
void sight_of_all_equals_autograd(AttentionCase of) {
  of.shape.sight = Sight::all;
  PreparedAttention<T> prepared(of.shape, 6);
  RowLayout layout;
  std::vector<CotangentSteps> texts;
  std::int64_t packed = 0;
  for (std::int64_t b = 0; b < std::ssize(kLengths); ++b) {
    constexpr std::int64_t kSteps = 6;
    CotangentSteps text{b, {}, std::vector<std::int64_t>(kSteps, kLengths[b] - 1), packed, {}, {}};
    for (std::int64_t k = 0; k < kSteps; ++k) text.step.push_back(k);
    for (std::int64_t i = 0; i < kLengths[b]; ++i) {
      text.offset.push_back(i * kSteps);
      text.active.push_back(0);
    }
    packed += kLengths[b] * kSteps;
    texts.push_back(text);
    layout.add({b, 0, 0, kLengths[b]});
  }
  const Tensor rows = prepared.random({layout.rows(), of.shape.width()});
  const Tensor c = prepared.random({packed, of.shape.queries()});
  const Biases<T> biases(of, 131, prepared.random);
  Tensor mixed = at::zeros({layout.rows(), of.shape.queries()}, kType<T>);
  attend<T>(of.shape, biases.engine(), layout, 0, rows, mixed);
  Tensor got = at::full({packed, of.shape.width()}, std::numeric_limits<T>::quiet_NaN(), kType<T>);
  attention_pull_back<T>(of.shape, biases.engine(), of.rules, layout, 0, rows, texts, false, c, got);
  const oracle::Rules rules{false, of.rules.frozen_softmax, of.rules.product_factor};
  for (const CotangentSteps& text : texts) {
    SCOPED_TRACE(::testing::Message() << of.name << ", text " << text.segment);
    const Segment& segment = layout.segments[static_cast<std::size_t>(text.segment)];
    const auto forward = [&](const auto& leaves) {
      return oracle::attend_rows(of.shape, leaves[0], biases.of(segment.count), rules);
    };
    const Tensor own = rows.narrow(0, segment.row, segment.count);
    EXPECT_TRUE(relatively_near(mixed.narrow(0, segment.row, segment.count), forward(std::vector{own.to(at::kDouble)}),
                                kTolerance<T>));
    const auto row = attention_weights<T>(of.shape, biases.engine(), layout, 0, rows, segment.row, 1);
    EXPECT_EQ(std::ssize(row), segment.count);
    const auto steps = std::ssize(text.step);
    const auto by_step = [&](const Tensor& x) {  // [n,steps,...]
      return x.narrow(0, text.first_row, segment.count * steps).view({segment.count, steps, -1});
    };
    std::vector<Tensor> cotangents;
    for (std::int64_t k = 0; k < steps; ++k) cotangents.push_back(by_step(c).select(1, k));
    const auto expected = by_autograd(forward, {own}, cotangents);
    for (std::int64_t k = 0; k < steps; ++k)
      EXPECT_TRUE(relatively_near(by_step(got).select(1, k), expected[static_cast<std::size_t>(k)][0], kTolerance<T>))
          << "step " << k;
  }
}

const std::vector<AttentionCase> kOfAll = {
    {"plain", shape_of(4, 2, 4)},
    {"soft_cap", shape_of(3, 3, 80, 0, 1.5)},
    {"relative", shape_of(4, 4, 4), {}, PositionBias::relative},
    {"relative_with_rules", shape_of(4, 1, 4), {false, 0.5}, PositionBias::relative},
    {"frozen_softmax", shape_of(4, 2, 4), {true, 1}}};

TEST(AttentionToAll, EqualsAutograd) {
  for (const AttentionCase& of : kOfAll) {
    sight_of_all_equals_autograd<float>(of);
    sight_of_all_equals_autograd<double>(of);
  }
}

/// Rows of texts that see the states of their sources and nothing else.
template <class T>
void sight_of_prefix_equals_autograd(AttentionCase of, bool read_only) {
  of.shape.sight = Sight::prefix;
  const std::vector<std::int64_t> sources = {1, 67, 9, 5}, targets = {3, 5, 70, 4};
  const std::vector<std::vector<std::int64_t>> asked = {{0, 1, 2}, {4}, {0, 33, 33, 60, 61, 69}, {3, 3}};
  RandomTensors random(kType<T>, 9);
  KeyValues keys;
  keys.value_column = of.shape.keys();
  std::int64_t source_rows = 0;
  for (const std::int64_t length : sources) {
    keys.first_row.push_back(source_rows);
    keys.length.push_back(length);
    source_rows += length;
  }
  keys.layers = {random({source_rows, 2 * of.shape.keys()})};
  RowLayout layout;
  std::vector<CotangentSteps> texts;
  std::int64_t packed = 0, packed_sources = 0, steps = 0;
  PrefixCotangents of_prefix;
  for (std::int64_t b = 0; b < std::ssize(sources); ++b) {
    const auto own = static_cast<std::size_t>(b);
    layout.add({b, 0, sources[own], targets[own], &keys, b});
    CotangentSteps text;
    text.segment = b;
    text.first_row = packed;
    for (const std::int64_t position : asked[own]) {
      text.step.push_back(std::ssize(text.step));
      text.position.push_back(sources[own] + position);
    }
    for (std::int64_t i = 0; i <= asked[own].back(); ++i) {
      text.offset.push_back(packed - text.first_row);
      text.active.push_back(std::ranges::count_if(asked[own], [&](auto read) { return read < i; }));
      packed += std::ssize(text.step) - text.active.back();
    }
    of_prefix.first_row.push_back(packed_sources);
    packed_sources += sources[own] * std::ssize(text.step);
    steps += std::ssize(text.step);
    texts.push_back(text);
  }
  const Tensor rows = random({layout.rows(), of.shape.queries()});
  const Tensor c = random({read_only ? steps : packed, of.shape.queries()});
  Tensor mixed = at::zeros(rows.sizes(), kType<T>),
         got = at::full({packed, of.shape.queries()}, std::numeric_limits<T>::quiet_NaN(), kType<T>);
  Tensor weights = at::zeros({std::ssize(sources), of.shape.heads, 70, 67}, kType<T>);
  of_prefix.rows = at::full({packed_sources, 2 * of.shape.keys()}, std::numeric_limits<T>::quiet_NaN(), kType<T>);
  attend<T>(of.shape, nullptr, layout, 0, rows, mixed, &weights);
  attention_pull_back<T>(of.shape, nullptr, of.rules, layout, 0, rows, texts, read_only, c, got, &of_prefix);
  const oracle::Rules rules{false, of.rules.frozen_softmax, of.rules.product_factor};
  std::int64_t step = 0;
  for (std::size_t b = 0; b < texts.size(); ++b) {
    SCOPED_TRACE(::testing::Message() << of.name << ", text " << b);
    const CotangentSteps& text = texts[b];
    const Segment& segment = layout.segments[b];
    const Tensor queries = rows.narrow(0, segment.row, segment.count);
    const Tensor source = keys.layers[0].narrow(0, keys.first_row[b], sources[b]);
    const auto forward = [&](const auto& leaves) {
      // Where the softmax is frozen nothing comes to the queries, which autograd takes for a mistake.
      return oracle::attend(of.shape, leaves[0], leaves[1], {}, rules) + 0 * leaves[0];
    };
    Tensor expected_weights;
    EXPECT_TRUE(relatively_near(
        mixed.narrow(0, segment.row, segment.count),
        oracle::attend(of.shape, queries.to(at::kDouble), source.to(at::kDouble), {}, rules, &expected_weights),
        kTolerance<T>));
    EXPECT_TRUE(relatively_near(weights[segment.text].narrow(1, 0, segment.count).narrow(2, 0, sources[b]),
                                expected_weights, kTolerance<T>));
    std::vector<Tensor> cotangents, packed_rows;
    for (std::int64_t k = 0; k < std::ssize(text.step); ++k, ++step) {
      const std::int64_t count = asked[b][static_cast<std::size_t>(k)] + 1;
      std::vector<std::int64_t> of_step;
      for (std::int64_t i = 0; i < count; ++i) of_step.push_back(text.row(i, k));
      packed_rows.push_back(at::tensor(of_step, at::kLong));
      cotangents.push_back(at::zeros({segment.count, of.shape.queries()}, kType<T>));
      if (read_only)
        cotangents.back()[count - 1].copy_(c[step]);
      else
        cotangents.back().narrow(0, 0, count).copy_(c.index_select(0, packed_rows.back()));
    }
    const auto expected = by_autograd(forward, {queries, source}, cotangents);
    const auto of_source = of_prefix.rows.narrow(0, of_prefix.first_row[b], sources[b] * std::ssize(text.step))
                               .view({sources[b], std::ssize(text.step), -1});
    for (std::size_t k = 0; k < expected.size(); ++k) {
      EXPECT_TRUE(relatively_near(got.index_select(0, packed_rows[k]),
                                  expected[k][0].narrow(0, 0, packed_rows[k].size(0)), kTolerance<T>))
          << "step " << k;
      EXPECT_TRUE(relatively_near(of_source.select(1, static_cast<std::int64_t>(k)), expected[k][1], kTolerance<T>))
          << "step " << k;
    }
  }
}

TEST(AttentionToASource, EqualsAutograd) {
  for (const AttentionCase& of :
       {AttentionCase{"plain", shape_of(4, 4, 4)}, AttentionCase{"shared", shape_of(4, 2, 80)},
        AttentionCase{"scaled", shape_of(4, 2, 4), {false, 0.5}},
        AttentionCase{"frozen", shape_of(4, 2, 4), {true, 1}}})
    for (const bool read_only : {false, true}) {
      sight_of_prefix_equals_autograd<float>(of, read_only);
      sight_of_prefix_equals_autograd<double>(of, read_only);
    }
}

/// Biases of a head for one query, without those that are the same for all of its keys.
template <class T>
void expect_biases(AttentionConfig config, bool causal) {
  RandomTensors random(at::kDouble);
  const Tensor relative = random({config.heads, std::max<std::int64_t>(1, config.relative_buckets)});
  const std::int64_t longest = 300;
  const ScoreBias<T> bias(config, relative, causal, longest);
  const Tensor expected = oracle::score_bias(config, relative, causal, longest);
  for (std::int64_t h = 0; h < config.heads; ++h)
    for (const std::int64_t query : {0, 1, 17, 150, 299}) {
      const std::int64_t first = query / 2, end = causal ? query + 1 : longest;
      Tensor got = at::zeros({end - first}, kType<T>);
      bias.add(h, query, first, end - first, got.mutable_data_ptr<T>());
      const Tensor all = expected[h][query].narrow(0, first, end - first);
      const auto centred = [](const Tensor& x) { return x.to(at::kDouble) - x.to(at::kDouble)[0]; };
      // Neighbours of biases that are up to hundreds of times as large.
      EXPECT_TRUE(relatively_near(centred(got), centred(all), sizeof(T) == 4 ? 1e-6 : 1e-12))
          << "head " << h << ", query " << query;
    }
}

TEST(ScoreBiases, FollowTheirFormulas) {
  for (const PositionBias kind : {PositionBias::alibi, PositionBias::alibi_rounded, PositionBias::alibi_padded})
    for (const std::int64_t heads : {1, 4, 6, 12, 16}) {
      SCOPED_TRACE(::testing::Message() << "kind " << static_cast<int>(kind) << ", " << heads << " heads");
      AttentionConfig config;
      config.heads = heads;
      config.scale = 0.25;
      config.position_bias = kind;
      expect_biases<float>(config, true);
      expect_biases<double>(config, true);
    }
  for (const bool causal : {true, false})
    for (const auto& [buckets, distance] : {std::pair{32, 128}, {8, 20}, {12, 50}}) {
      SCOPED_TRACE(::testing::Message() << buckets << " buckets up to " << distance);
      AttentionConfig config;
      config.heads = 3;
      config.position_bias = PositionBias::relative;
      config.relative_buckets = buckets;
      config.relative_distance = distance;
      expect_biases<float>(config, causal);
      expect_biases<double>(config, causal);
    }
}

/// Attention over one text; the first of eight heads has the steepest biases, half of the distance.
struct LongAttention {
  AttentionShape shape{8, 8, 8, Sight::causal, 0, 0.35};
  AttentionConfig config;
  RowLayout layout;
  Tensor rows;

  LongAttention(PositionBias kind, std::int64_t length) {
    config.heads = shape.heads;
    config.scale = shape.scale;
    config.position_bias = kind;
    layout.add({0, 0, 0, length});
    rows = RandomTensors(at::kFloat)({length, shape.width()});
  }

  template <class T>
  std::vector<T> weights(std::int64_t query) const {
    const ScoreBias<T> bias(config, {}, true, layout.rows());
    return attention_weights<T>(shape, &bias, layout, 0, rows.to(kType<T>), query, 0);
  }
};

/// Biases of many thousands would leave few digits to the scores that they are added to.
TEST(ScoreBiases, KeepTheDigitsOfScoresInLongTexts) {
  for (const PositionBias kind : {PositionBias::alibi, PositionBias::alibi_padded, PositionBias::alibi_rounded}) {
    const LongAttention attention(kind, 8000);
    const std::int64_t query = 7990;
    const auto got = attention.weights<float>(query);
    const auto expected = attention.weights<double>(query);
    EXPECT_TRUE(relatively_near(at::tensor(got), at::tensor(expected), 1e-6)) << "kind " << static_cast<int>(kind);
  }
}

TEST(ScoreBiases, DoNotChangeWhenATextIsShifted) {
  LongAttention attention(PositionBias::alibi, 300);
  attention.shape.window = 50;
  LongAttention shifted = attention;
  shifted.layout = {};
  shifted.layout.add({0, 0, 0, 7300});
  shifted.rows = at::cat({RandomTensors(at::kFloat, 5)({7000, attention.shape.width()}), attention.rows});
  for (const std::int64_t query : {60, 299}) {
    const auto near = attention.weights<float>(query), far = shifted.weights<float>(query + 7000);
    EXPECT_TRUE(std::equal(near.end() - 50, near.end(), far.end() - 50)) << "query " << query;
  }
}

}  // namespace
}  // namespace whence::transformer
