// Attention and its backward, for cotangents packed as a pull back packs them, against autograd in double precision.
#include <ATen/ops/cat.h>
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
  AttentionRules rules;
};

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

class AttentionBackward : public ::testing::TestWithParam<AttentionCase> {
 protected:
  template <class T>
  static void forward_equals_the_formula() {
    const AttentionShape& shape = GetParam().shape;
    const PreparedAttention<T> prepared(shape, 3);
    constexpr std::int64_t kLongest = 131;
    Tensor mixed = at::full({prepared.layout.rows(), shape.queries()}, std::numeric_limits<T>::quiet_NaN(), kType<T>);
    Tensor again = mixed.clone();
    Tensor weights = at::zeros({std::ssize(kLengths), shape.heads, kLongest, kLongest}, kType<T>);
    attend<T>(shape, prepared.layout, 0, prepared.rows, mixed, &weights);
    attend<T>(shape, prepared.layout, 0, prepared.rows, again);
    EXPECT_TRUE(relatively_near(again, mixed, 0));
    for (std::int64_t b = 0; b < std::ssize(kLengths); ++b) {
      SCOPED_TRACE(::testing::Message() << "text " << b);
      const Segment& segment = prepared.layout.segments[static_cast<std::size_t>(b)];
      Tensor expected_weights;
      const Tensor expected =
          oracle::attend(shape, prepared.whole(b, prepared.own_rows(b)).to(at::kDouble), {}, &expected_weights);
      EXPECT_TRUE(relatively_near(mixed.narrow(0, segment.row, segment.count),
                                  expected.narrow(0, segment.start, segment.count), kTolerance<T>));
      const auto own = [&](const Tensor& x) {
        return x.narrow(1, segment.start, segment.count).narrow(2, 0, segment.end());
      };
      EXPECT_TRUE(relatively_near(own(weights[b]), own(expected_weights), kTolerance<T>));
      for (const std::int64_t i : {std::int64_t{0}, segment.count / 2, segment.count - 1})
        for (std::int64_t h = 0; h < shape.heads; ++h) {
          const auto row = attention_weights<T>(shape, prepared.layout, 0, prepared.rows, segment.row + i, h);
          const std::int64_t end = segment.start + i + 1;
          ASSERT_EQ(std::ssize(row), end);
          EXPECT_TRUE(relatively_near(at::tensor(at::ArrayRef<T>(row), kType<T>),
                                      expected_weights[h][end - 1].narrow(0, 0, end), kTolerance<T>));
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
    attention_pull_back<T>(shape, rules, prepared.layout, 0, prepared.rows, prepared.texts, read_only, mixed, got);

    const oracle::Rules reference_rules{false, rules.frozen_softmax, rules.product_factor};
    std::int64_t step = 0;
    for (std::size_t b = 0; b < prepared.texts.size(); ++b) {
      const CotangentSteps& text = prepared.texts[b];
      const Segment& segment = prepared.layout.segments[b];
      const auto forward = [&](const auto& leaves) {
        return oracle::attend(shape, prepared.whole(segment.text, leaves[0]), reference_rules)
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

INSTANTIATE_TEST_SUITE_P(Cases, AttentionBackward,
                         ::testing::Values(AttentionCase{"one_key_per_query", {3, 3, 4, 0}, {}},
                                           AttentionCase{"shared_keys", {4, 2, 4, 0}, {}},
                                           AttentionCase{"one_key_for_all", {4, 1, 4, 0}, {}},
                                           AttentionCase{"window", {4, 2, 4, 3}, {}},
                                           AttentionCase{"wide_window", {2, 1, 4, 65}, {}},
                                           AttentionCase{"one_panel", {2, 1, 64, 0}, {}},
                                           AttentionCase{"part_of_a_panel", {3, 3, 80, 0}, {}},
                                           AttentionCase{"two_panels", {2, 1, 128, 50}, {}},
                                           AttentionCase{"frozen_softmax", {4, 2, 4, 0}, {true, 1}},
                                           AttentionCase{"scaled_products", {4, 2, 4, 7}, {false, 0.5}},
                                           AttentionCase{"frozen_and_scaled", {4, 2, 4, 0}, {true, 0.25}}),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(AttentionDifferences, EqualTheBackward) {
  for (const std::int64_t window : {0, 5}) {
    PreparedAttention<double> prepared({4, 2, 4, window}, 5);
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
    attention_pull_back<double>(prepared.shape, {}, prepared.layout, 0, prepared.rows, prepared.texts, false, c,
                                gradient);
    const auto forward = [&](const Tensor& rows) {
      Tensor mixed = at::zeros({packed, prepared.shape.queries()}, at::kDouble);
      attend<double>(prepared.shape, prepared.layout, 0, rows, mixed);
      return mixed;
    };
    expect_differences(forward, prepared.rows, c, gradient, prepared.random);
  }
}

}  // namespace
}  // namespace whence::transformer
