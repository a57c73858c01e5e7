// The backward of norms, projections, gated MLP and head against autograd through the same operations in double
// precision, and against differences of the engine's own forward.
#include <ATen/ops/empty_like.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>

#include <numeric>

#include "autograd_oracle.h"
#include "by_autograd.h"
#include "norm.h"

namespace whence::transformer {
namespace {

Tensor index_of(const std::vector<std::int64_t>& rows) { return at::tensor(rows, at::kLong); }

std::vector<std::int64_t> all_rows(std::int64_t count) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(count));
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

/// Traced rows of packed cotangents, in no order and several times.
std::vector<std::int64_t> traced_rows(std::int64_t count, std::int64_t rows, RandomTensors& random) {
  std::vector<std::int64_t> result;
  for (std::int64_t i = 0; i < count; ++i) result.push_back(random.integer(0, rows));
  return result;
}

/// A row over its rms by the engine; `inverse` takes 1 / rms.
template <class T>
Tensor normed_row(const Tensor& x, double epsilon, T* inverse = nullptr) {
  Tensor normed = at::empty_like(x);
  const T scale = normalise(x.const_data_ptr<T>(), x.numel(), epsilon, normed.mutable_data_ptr<T>());
  if (inverse) *inverse = scale;
  return normed;
}

/// What add_norm_pull_back makes of a sum.
template <class T>
Tensor norm_pulled_back(const Tensor& x, double epsilon, bool frozen, const Tensor& cotangent, const Tensor& sum) {
  T inverse;
  const Tensor normed = normed_row<T>(x, epsilon, &inverse);
  Tensor used = cotangent.clone(), result = sum.clone();
  add_norm_pull_back(normed.const_data_ptr<T>(), inverse, frozen, x.numel(), used.mutable_data_ptr<T>(),
                     result.mutable_data_ptr<T>());
  return result;
}

template <class T>
void norm_equals_autograd() {
  constexpr double kEpsilon = 1e-5;
  RandomTensors random(kType<T>);
  for (const std::int64_t size : {1, 2, 5, 64, 100, 576})
    for (const bool frozen : {false, true}) {
      SCOPED_TRACE(::testing::Message() << "size " << size << (frozen ? ", frozen" : ""));
      const Tensor x = random({size}), c = random({size}), sum = random({size});
      const auto reference = [&](const auto& leaves) { return oracle::normalise(leaves[0], kEpsilon, frozen); };
      EXPECT_TRUE(
          relatively_near(normed_row<T>(x, kEpsilon), reference(std::vector{x.to(at::kDouble)}), kTolerance<T>));
      EXPECT_TRUE(relatively_near(norm_pulled_back<T>(x, kEpsilon, frozen, c, sum),
                                  sum + by_autograd(reference, {x}, c)[0], kTolerance<T>));
    }
}

TEST(NormBackward, EqualsAutogradInFloat) { norm_equals_autograd<float>(); }
TEST(NormBackward, EqualsAutogradInDouble) { norm_equals_autograd<double>(); }

TEST(NormBackward, EqualsDifferences) {
  RandomTensors random(at::kDouble);
  const Tensor x = random({50}), c = random({50});
  expect_differences([](const Tensor& at) { return normed_row<double>(at, 1e-6); }, x, c,
                     norm_pulled_back<double>(x, 1e-6, false, c, at::zeros_like(x)), random);
}

/// One block of the engine and of the oracle with the same weights.
template <class T>
struct OneBlock {
  DecoderConfig config;
  RandomTensors random{kType<T>, 5};
  DecoderWeights weights = random_weights(config, random);
  Rotary rotary{config.rotary};
  Decoder<T> decoder{config, weights, rotary, WeightPolicy{}};
  oracle::Decoder reference{config, weights, rotary};
  ForwardMatrices<T> forward_scratch;
  BackwardMatrices<T> backward_scratch;

  explicit OneBlock(DecoderConfig given) : config(std::move(given)) {}

  const AttentionShape& attention() const { return decoder.shape(0).attention; }
  BlockForward<T> forward() {
    return {decoder.shape(0), decoder.blocks().weights()[0], decoder.blocks().forward(0, forward_scratch)};
  }
  BlockPullBack<T> pull_back(const BlockTrace& trace, const BlockRules& rules) {
    return {decoder.shape(0), decoder.blocks().weights()[0], decoder.blocks().backward(0, backward_scratch), trace,
            rules};
  }
};

struct MlpCase {
  const char* name;
  Activation activation;
  std::int64_t hidden, inner;
  Presence bias;
};

/// The projection of the mixed values, the norm after it and the gated MLP.
class MlpBackward : public ::testing::TestWithParam<MlpCase> {
 protected:
  static DecoderConfig config() {
    DecoderConfig config = small_config(1, 3, 3, 8);
    config.activation = GetParam().activation;
    config.hidden = GetParam().hidden;
    config.inner = GetParam().inner;
    config.mlp_bias = config.output_bias = GetParam().bias;
    return config;
  }

  /// From one row to more than a tile.
  template <class T>
  static void equals_autograd() {
    OneBlock<T> block(config());
    for (const std::int64_t rows : {1, 7, 100}) {
      SCOPED_TRACE(::testing::Message() << rows << " rows");
      const Tensor x = block.random({rows, block.config.hidden});
      const Tensor mixed = block.random({rows, block.attention().queries()});
      const auto reference = [&](const auto& leaves) {
        return block.reference.blocks()[0].finish(leaves[1], leaves[0]);
      };
      Tensor y = x.clone(), untraced = x.clone();
      BlockTrace trace;
      block.forward().finish(mixed, y, &trace);
      block.forward().finish(mixed, untraced, nullptr);
      EXPECT_TRUE(at::equal(y, untraced));
      EXPECT_TRUE(relatively_near(y, reference(std::vector{x.to(at::kDouble), mixed.to(at::kDouble)}), kTolerance<T>));

      const auto traced = traced_rows(2 * rows + 1, rows, block.random);
      const Tensor c = block.random({std::ssize(traced), block.config.hidden}), which = index_of(traced);
      Tensor got = c.clone();
      const BlockRules rules;
      const Tensor got_mixed = block.pull_back(trace, rules).through_mlp(got, traced);
      const auto expected = by_autograd(reference, {x.index_select(0, which), mixed.index_select(0, which)}, c);
      EXPECT_TRUE(relatively_near(got, expected[0], kTolerance<T>));
      EXPECT_TRUE(relatively_near(got_mixed, expected[1], kTolerance<T>));
    }
  }
};

TEST_P(MlpBackward, EqualsAutogradInFloat) { equals_autograd<float>(); }
TEST_P(MlpBackward, EqualsAutogradInDouble) { equals_autograd<double>(); }

TEST_P(MlpBackward, EqualsDifferences) {
  OneBlock<double> block(config());
  const std::int64_t rows = 9;
  const Tensor x = block.random({rows, block.config.hidden}), c = block.random({rows, block.config.hidden});
  const Tensor mixed = block.random({rows, block.attention().queries()});
  const auto output = [&](const Tensor& values, const Tensor& stream, BlockTrace* trace) {
    Tensor y = stream.clone();
    block.forward().finish(values, y, trace);
    return y;
  };
  BlockTrace trace;
  output(mixed, x, &trace);
  Tensor gradient = c.clone();
  const BlockRules rules;
  const Tensor mixed_gradient = block.pull_back(trace, rules).through_mlp(gradient, all_rows(rows));
  expect_differences([&](const Tensor& at) { return output(mixed, at, nullptr); }, x, c, gradient, block.random);
  expect_differences([&](const Tensor& at) { return output(at, x, nullptr); }, mixed, c, mixed_gradient, block.random);
}

INSTANTIATE_TEST_SUITE_P(Cases, MlpBackward,
                         ::testing::Values(MlpCase{"silu", Activation::silu, 12, 20, Presence::never},
                                           MlpCase{"gelu", Activation::gelu, 12, 20, Presence::always},
                                           MlpCase{"gelu_tanh", Activation::gelu_tanh, 12, 20, Presence::always},
                                           MlpCase{"relu", Activation::relu, 12, 20, Presence::always},
                                           MlpCase{"whole_panels", Activation::silu, 64, 192, Presence::never},
                                           MlpCase{"parts_of_panels", Activation::silu, 70, 129, Presence::always}),
                         [](const auto& info) { return std::string(info.param.name); });

struct HeadsCase {
  const char* name;
  std::int64_t hidden, heads, key_value_heads, head_size;
  Presence bias;
  bool norms, rotary;
};

/// The norm before attention, the projections to queries, keys and values, norms over heads and positions.
class HeadsBackward : public ::testing::TestWithParam<HeadsCase> {
 protected:
  static DecoderConfig config() {
    const HeadsCase& c = GetParam();
    DecoderConfig config = small_config(1, c.heads, c.key_value_heads, c.head_size);
    config.hidden = c.hidden;
    config.attention_bias = c.bias;
    config.query_key_norm = c.norms;
    config.layers[0].rotary = c.rotary;
    return config;
  }

  /// Two texts, of which the second starts at position 3.
  static inline const std::vector<std::int64_t> kLengths = {60, 24};
  static RowLayout layout() {
    RowLayout layout;
    layout.add({0, 0, 0, 60});
    layout.add({1, 0, 3, 21});
    return layout;
  }

  static oracle::Angles angles_of(const Rotary& rotary, const std::vector<std::int64_t>& rows) {
    const RotaryTable table = rotary.table(kLengths, 0, 60);
    std::vector<std::int64_t> positions;
    for (const std::int64_t row : rows) positions.push_back(layout().position[static_cast<std::size_t>(row)]);
    const auto chosen = [&](const Tensor& x) {
      return x.flatten(0, 2).to(at::kDouble).index_select(0, index_of(positions));
    };
    return {chosen(table.cosine), chosen(table.sine)};
  }

  /// Heads of the rows x, and what the backward of the whole block needs.
  template <class T>
  static BlockTrace traced(OneBlock<T>& block, const Tensor& x, const RowAngles<T>* angles) {
    BlockTrace trace;
    Tensor stream = x.clone();
    block.forward().heads(x, angles, &trace);
    block.forward().finish(block.random({x.size(0), block.attention().queries()}), stream, &trace);
    return trace;
  }

  template <class T>
  static void equals_autograd() {
    OneBlock<T> block(config());
    const RowAngles<T> all_angles(block.rotary, kLengths, layout());
    const RowAngles<T>* angles = GetParam().rotary ? &all_angles : nullptr;
    const std::int64_t rows = layout().rows();
    const Tensor x = block.random({rows, block.config.hidden});
    const BlockTrace trace = traced(block, x, angles);
    EXPECT_TRUE(at::equal(trace.heads, block.forward().heads(x, angles, nullptr)));
    const oracle::Block& reference = block.reference.blocks()[0];
    EXPECT_TRUE(relatively_near(
        trace.heads, reference.heads(x.to(at::kDouble), angles_of(block.rotary, all_rows(rows))), kTolerance<T>));

    const auto where = traced_rows(2 * rows + 1, rows, block.random);
    const Tensor c = block.random({std::ssize(where), block.attention().width()});
    const Tensor sum = block.random({std::ssize(where), block.config.hidden});
    Tensor used = c.clone(), got = sum.clone();
    const BlockRules rules;
    block.pull_back(trace, rules).through_heads(used, got, where, angles);
    const auto forward = [&](const auto& leaves) { return reference.heads(leaves[0], angles_of(block.rotary, where)); };
    const Tensor expected = sum + by_autograd(forward, {x.index_select(0, index_of(where))}, c)[0];
    EXPECT_TRUE(relatively_near(got, expected, kTolerance<T>));
  }
};

TEST_P(HeadsBackward, EqualsAutogradInFloat) { equals_autograd<float>(); }
TEST_P(HeadsBackward, EqualsAutogradInDouble) { equals_autograd<double>(); }

TEST_P(HeadsBackward, EqualsDifferences) {
  OneBlock<double> block(config());
  const RowAngles<double> all_angles(block.rotary, kLengths, layout());
  const RowAngles<double>* angles = GetParam().rotary ? &all_angles : nullptr;
  const std::int64_t rows = layout().rows();
  const Tensor x = block.random({rows, block.config.hidden}), c = block.random({rows, block.attention().width()});
  const BlockTrace trace = traced(block, x, angles);
  Tensor used = c.clone(), gradient = at::zeros_like(x);
  const BlockRules rules;
  block.pull_back(trace, rules).through_heads(used, gradient, all_rows(rows), angles);
  expect_differences([&](const Tensor& at) { return block.forward().heads(at, angles, nullptr); }, x, c, gradient,
                     block.random);
}

INSTANTIATE_TEST_SUITE_P(Cases, HeadsBackward,
                         ::testing::Values(HeadsCase{"plain", 12, 3, 3, 4, Presence::never, false, true},
                                           HeadsCase{"biased", 12, 4, 2, 4, Presence::always, false, true},
                                           HeadsCase{"normed", 12, 4, 2, 4, Presence::always, true, true},
                                           HeadsCase{"without_positions", 12, 4, 1, 4, Presence::never, true, false},
                                           HeadsCase{"whole_panels", 64, 4, 2, 64, Presence::never, false, true},
                                           HeadsCase{"parts_of_panels", 70, 3, 1, 80, Presence::always, true, true}),
                         [](const auto& info) { return std::string(info.param.name); });

/// A vocabulary of two whole slices and a part of one, and more rows than a tile has.
template <class T>
void head_equals_autograd() {
  constexpr std::int64_t kRows = 50, kDepth = 13, kVocabulary = 2 * Head<T>::kSlice + 77;
  RandomTensors random(kType<T>);
  Projection weights;
  weights.parts = {StoredMatrix(random({kVocabulary, kDepth}))};
  weights.gain = 1 + random({kDepth}, 0.2);
  const oracle::Linear reference(weights);
  const Tensor x = random({kRows, kDepth}), c = random({kRows, kVocabulary});
  const auto forward = [&](const auto& leaves) { return reference(leaves[0]); };
  // The head takes rows before the gain, and is the gain's transpose on the way back.
  const Tensor expected = by_autograd(forward, {x}, c)[0];
  for (const bool resident : {true, false}) {
    SCOPED_TRACE(resident ? "packed once" : "packed for every pass");
    const Head<T> head(weights, {Precision::full, Precision::full, resident});
    EXPECT_EQ(head.vocabulary(), kVocabulary);
    EXPECT_TRUE(relatively_near(head.forward(x), reference(x.to(at::kDouble)), kTolerance<T>));
    EXPECT_TRUE(relatively_near(head.pull_back(c), expected, kTolerance<T>));
  }
}

TEST(HeadBackward, EqualsAutogradInFloat) { head_equals_autograd<float>(); }
TEST(HeadBackward, EqualsAutogradInDouble) { head_equals_autograd<double>(); }

TEST(HeadBackward, EqualsDifferences) {
  RandomTensors random(at::kDouble);
  Projection weights;
  weights.parts = {StoredMatrix(random({100, 13}))};
  weights.gain = random({13});
  const Head<double> head(weights, {});
  const Tensor x = random({3, 13}), c = random({3, 100});
  expect_differences([&](const Tensor& at) { return head.forward(at); }, x, c, head.pull_back(c), random);
}

}  // namespace
}  // namespace whence::transformer
