// The backward of norms, projections, feed-forward networks and experts against autograd through the same operations in
// double precision, and against differences of the engine's own forward.
#include <ATen/ops/cat.h>
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

struct NormCase {
  const char* name;
  NormKind kind;
  bool gain, bias;
};
const std::vector<NormCase> kNorms = {{"rms", NormKind::rms, false, false},
                                      {"rms_with_gain", NormKind::rms, true, false},
                                      {"layer", NormKind::layer, false, false},
                                      {"layer_with_gain", NormKind::layer, true, false},
                                      {"layer_with_gain_and_bias", NormKind::layer, true, true}};

/// A norm over `size` columns that stand behind `first` others in rows of its gain and bias.
class NormBackward : public ::testing::TestWithParam<NormCase> {
 protected:
  static constexpr std::int64_t kFirst = 3;

  template <class T>
  static Norm norm(std::int64_t size, RandomTensors& random) {
    Norm result{GetParam().kind, 1e-5, {}, {}};
    if (GetParam().gain) result.gain = 1 + random({kFirst + size}, 0.2);
    if (GetParam().bias) result.bias = random({kFirst + size});
    return result;
  }

  /// By the engine: x [1,size] normed, and `cotangent` pulled back when it is not null.
  template <class T>
  static Tensor run(const Norm& norm, const Tensor& x, bool frozen = false, Tensor* cotangent = nullptr) {
    Tensor normed = at::empty_like(x), out = at::empty_like(x);
    const T inverse = normalise(norm, x.const_data_ptr<T>(), x.numel(), normed.mutable_data_ptr<T>());
    apply_gain<T>(norm, normed.const_data_ptr<T>(), kFirst, x.numel(), out.mutable_data_ptr<T>());
    if (cotangent)
      norm_pull_back<T>(norm, normed.const_data_ptr<T>(), inverse, frozen, kFirst, x.numel(),
                        cotangent->mutable_data_ptr<T>());
    return out;
  }

  template <class T>
  static void equals_autograd() {
    RandomTensors random(kType<T>);
    for (const std::int64_t size : {1, 2, 5, 64, 100, 576})
      for (const bool frozen : {false, true}) {
        SCOPED_TRACE(::testing::Message() << "size " << size << (frozen ? ", frozen" : ""));
        const Norm norm = NormBackward::norm<T>(size, random);
        const Tensor x = random({1, size}), c = random({1, size}), sum = random({1, size});
        Norm own = norm;
        if (own.gain.defined()) own.gain = own.gain.narrow(0, kFirst, size).to(at::kDouble);
        if (own.bias.defined()) own.bias = own.bias.narrow(0, kFirst, size).to(at::kDouble);
        const auto reference = [&](const auto& leaves) { return oracle::normalise(own, leaves[0], frozen); };
        Tensor got = c.clone();
        EXPECT_TRUE(
            relatively_near(run<T>(norm, x, frozen, &got), reference(std::vector{x.to(at::kDouble)}), kTolerance<T>));
        // Next to nothing comes through the norm of one or two numbers.
        EXPECT_TRUE(relatively_near(sum + got, sum + by_autograd(reference, {x}, c)[0], kTolerance<T>));
      }
  }
};

TEST_P(NormBackward, EqualsAutogradInFloat) { equals_autograd<float>(); }
TEST_P(NormBackward, EqualsAutogradInDouble) { equals_autograd<double>(); }

TEST_P(NormBackward, EqualsDifferences) {
  RandomTensors random(at::kDouble);
  const Norm norm = NormBackward::norm<double>(50, random);
  const Tensor x = random({1, 50}), c = random({1, 50});
  Tensor gradient = c.clone();
  run<double>(norm, x, false, &gradient);
  expect_differences([&](const Tensor& at) { return run<double>(norm, at); }, x, c, gradient, random);
}

INSTANTIATE_TEST_SUITE_P(Cases, NormBackward, ::testing::ValuesIn(kNorms),
                         [](const auto& info) { return std::string(info.param.name); });

/// One block of the engine and of the oracle with the same weights.
template <class T>
struct OneBlock {
  DecoderConfig config;
  RandomTensors random{kType<T>, 5};
  DecoderWeights weights = random_weights(config, random);
  Decoder<T> decoder{config, weights, WeightPolicy{}};
  oracle::Decoder reference{config, weights};
  ForwardMatrices<T> forward_scratch;
  BackwardMatrices<T> backward_scratch;

  explicit OneBlock(DecoderConfig given) : config(std::move(given)) {}

  const AttentionShape& attention() const { return decoder.shape(0).attention; }
  BlockForward<T> forward() {
    return {decoder.shape(0), decoder.blocks().weights()[0], decoder.blocks().forward(0, forward_scratch)};
  }
  /// A trace up to the attention.
  BlockTrace begun(const Tensor& x) {
    BlockTrace trace;
    Tensor stream = x.clone();
    forward().heads(stream, nullptr, &trace);
    return trace;
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
  bool gated = true;
  NormKind norm = NormKind::rms;
  BlockLayout layout = {};
};

/// The projection of the mixed values, the norms around it and the feed-forward network.
class MlpBackward : public ::testing::TestWithParam<MlpCase> {
 protected:
  static DecoderConfig config() {
    DecoderConfig config = small_config(1, 3, 3, 8);
    config.mlp.activation = GetParam().activation;
    config.hidden = config.width = GetParam().hidden;
    config.mlp.inner = GetParam().inner;
    config.mlp.gated = GetParam().gated;
    config.norm.kind = GetParam().norm;
    if (GetParam().norm == NormKind::layer) config.norm_bias = Presence::always;
    config.block = GetParam().layout;
    config.mlp.bias = config.attention.output_bias = GetParam().bias;
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
      BlockTrace trace = block.begun(x);
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
  BlockTrace trace = block.begun(x);
  output(mixed, x, &trace);
  Tensor gradient = c.clone();
  const BlockRules rules;
  const Tensor mixed_gradient = block.pull_back(trace, rules).through_mlp(gradient, all_rows(rows));
  expect_differences([&](const Tensor& at) { return output(mixed, at, nullptr); }, x, c, gradient, block.random);
  expect_differences([&](const Tensor& at) { return output(at, x, nullptr); }, mixed, c, mixed_gradient, block.random);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, MlpBackward,
    ::testing::Values(
        MlpCase{"silu", Activation::silu, 12, 20, Presence::never},
        MlpCase{"gelu", Activation::gelu, 12, 20, Presence::always},
        MlpCase{"gelu_tanh", Activation::gelu_tanh, 12, 20, Presence::always},
        MlpCase{"relu", Activation::relu, 12, 20, Presence::always},
        MlpCase{"whole_panels", Activation::silu, 64, 192, Presence::never},
        MlpCase{"parts_of_panels", Activation::silu, 70, 129, Presence::always},
        MlpCase{"relu2", Activation::relu2, 12, 20, Presence::always},
        MlpCase{"plain", Activation::gelu, 12, 20, Presence::always, false, NormKind::layer},
        MlpCase{"plain_relu2", Activation::relu2, 70, 129, Presence::never, false},
        MlpCase{"parallel", Activation::silu, 12, 20, Presence::always, true, NormKind::layer, {.parallel = true}},
        MlpCase{"sandwich",
                Activation::silu,
                70,
                20,
                Presence::always,
                true,
                NormKind::rms,
                {.branch_norms = true, .branch_scale = 0.4}},
        MlpCase{"post_norm",
                Activation::gelu,
                12,
                20,
                Presence::always,
                false,
                NormKind::layer,
                {.input_norms = false, .stream_norms = true}},
        MlpCase{"residual_from_norm",
                Activation::gelu,
                12,
                20,
                Presence::always,
                false,
                NormKind::layer,
                {.input_norms = false, .residual_from_norm = true}}),
    [](const auto& info) { return std::string(info.param.name); });

struct HeadsCase {
  const char* name;
  std::int64_t hidden, heads, key_value_heads, head_size;
  Presence bias;
  HeadNorm norms;
  bool rotary;
  NormKind norm_kind = NormKind::rms;
  Presence norm_bias = Presence::never;
  std::int64_t turned = 0;  ///< channels of a head; 0: all
  double clamp = 0;
  BlockLayout layout = {};
};

/// The norm before attention, the projections to queries, keys and values, norms over heads and positions.
class HeadsBackward : public ::testing::TestWithParam<HeadsCase> {
 protected:
  static DecoderConfig config() {
    const HeadsCase& c = GetParam();
    DecoderConfig config = small_config(1, c.heads, c.key_value_heads, c.head_size);
    config.hidden = config.width = c.hidden;
    config.attention.bias = c.bias;
    config.attention.norm = c.norms;
    config.attention.norm_kind = c.norm_kind;
    config.attention.norm_bias = c.norm_bias;
    config.attention.clamp = c.clamp;
    config.block = c.layout;
    if (c.turned > 0) config.rotary[0].size = c.turned;
    if (!c.rotary) config.layers[0].rotary = -1;
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
    if (!GetParam().rotary) return {};
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
    block.forward().heads(stream, angles, &trace);
    block.forward().finish(block.random({x.size(0), block.attention().queries()}), stream, &trace);
    return trace;
  }

  template <class T>
  static void equals_autograd() {
    OneBlock<T> block(config());
    const RowAngles<T> all_angles(block.weights.stack.rotary[0], kLengths, layout());
    const RowAngles<T>* angles = GetParam().rotary ? &all_angles : nullptr;
    const std::int64_t rows = layout().rows();
    const Tensor x = block.random({rows, block.config.hidden});
    const BlockTrace trace = traced(block, x, angles);
    Tensor stream = x.clone(), same = x.to(at::kDouble);
    EXPECT_TRUE(at::equal(trace.heads, block.forward().heads(stream, angles, nullptr)));
    const oracle::Block& reference = block.reference.blocks()[0];
    const Tensor heads = reference.heads(same, angles_of(block.weights.stack.rotary[0], all_rows(rows)));
    EXPECT_TRUE(relatively_near(trace.heads, heads, kTolerance<T>));
    EXPECT_TRUE(relatively_near(stream, same, kTolerance<T>));

    const auto where = traced_rows(2 * rows + 1, rows, block.random);
    const Tensor c = block.random({std::ssize(where), block.attention().width()});
    const Tensor sum = block.random({std::ssize(where), block.config.hidden});
    Tensor used = c.clone(), got = sum.clone();
    const BlockRules rules;
    block.pull_back(trace, rules).through_heads(used, got, where, angles);
    // What the attention reads, and what its result is added to.
    const auto forward = [&](const auto& leaves) {
      Tensor stream = leaves[0];
      const Tensor heads = reference.heads(stream, angles_of(block.weights.stack.rotary[0], where));
      return at::cat({heads, stream}, 1);
    };
    const Tensor expected = by_autograd(forward, {x.index_select(0, index_of(where))}, at::cat({c, sum}, 1))[0];
    EXPECT_TRUE(relatively_near(got, expected, kTolerance<T>));
  }
};

TEST_P(HeadsBackward, EqualsAutogradInFloat) { equals_autograd<float>(); }
TEST_P(HeadsBackward, EqualsAutogradInDouble) { equals_autograd<double>(); }

TEST_P(HeadsBackward, EqualsDifferences) {
  OneBlock<double> block(config());
  const RowAngles<double> all_angles(block.weights.stack.rotary[0], kLengths, layout());
  const RowAngles<double>* angles = GetParam().rotary ? &all_angles : nullptr;
  const std::int64_t rows = layout().rows();
  const Tensor x = block.random({rows, block.config.hidden}), c = block.random({rows, block.attention().width()});
  const BlockTrace trace = traced(block, x, angles);
  Tensor used = c.clone(), gradient = at::zeros_like(x);
  const BlockRules rules;
  block.pull_back(trace, rules).through_heads(used, gradient, all_rows(rows), angles);
  const auto forward = [&](const Tensor& at) {
    Tensor stream = at.clone();
    return block.forward().heads(stream, angles, nullptr);
  };
  expect_differences(forward, x, c, gradient, block.random);
}

constexpr auto kNever = Presence::never, kAlways = Presence::always;
const std::vector<HeadsCase> kHeadsCases = {
    {"plain", 12, 3, 3, 4, kNever, HeadNorm::none, true},
    {"biased", 12, 4, 2, 4, kAlways, HeadNorm::none, true},
    {"normed", 12, 4, 2, 4, kAlways, HeadNorm::each, true},
    {"without_positions", 12, 4, 1, 4, kNever, HeadNorm::each, false},
    {"whole_panels", 64, 4, 2, 64, kNever, HeadNorm::none, true},
    {"parts_of_panels", 70, 3, 1, 80, kAlways, HeadNorm::each, true},
    {"norms_of_their_own", 12, 4, 2, 6, kNever, HeadNorm::own, true, NormKind::layer},
    {"norms_of_all_heads", 12, 4, 2, 6, kNever, HeadNorm::all, true},
    {"norms_with_biases", 12, 4, 2, 6, kAlways, HeadNorm::each, true, NormKind::layer, kAlways},
    {"partly_turned", 12, 4, 2, 8, kNever, HeadNorm::none, true, NormKind::rms, kNever, 2},
    {"partly_turned_after_norms", 12, 3, 3, 10, kNever, HeadNorm::own, true, NormKind::layer, kAlways, 6},
    {"clamped", 12, 4, 2, 4, kAlways, HeadNorm::none, true, NormKind::rms, kNever, 0, 0.9},
    {"clamped_after_norms", 12, 4, 2, 4, kNever, HeadNorm::all, true, NormKind::rms, kNever, 2, 0.6},
    {"without_input_norm",
     12,
     4,
     2,
     4,
     kNever,
     HeadNorm::none,
     true,
     NormKind::rms,
     kNever,
     0,
     0,
     {.input_norms = false, .branch_norms = true}},
    {"stream_normed_first",
     12,
     4,
     2,
     4,
     kAlways,
     HeadNorm::none,
     false,
     NormKind::rms,
     kNever,
     0,
     0,
     {.input_norms = false, .residual_from_norm = true}}};

INSTANTIATE_TEST_SUITE_P(Cases, HeadsBackward, ::testing::ValuesIn(kHeadsCases),
                         [](const auto& info) { return std::string(info.param.name); });

struct ExpertsCase {
  const char* name;
  std::int64_t count, chosen;
  Routing routing;
  double normalise = 0, output_scale = 1;
  bool gated = true;
  Presence bias = Presence::never;
  std::int64_t shared_inner = 0;
  bool shared_gate = false;
};

/// A mixture of experts over normed rows.
class ExpertsBackward : public ::testing::TestWithParam<ExpertsCase> {
 protected:
  static DecoderConfig config() {
    const ExpertsCase& c = GetParam();
    DecoderConfig config = small_config(1);
    config.experts = {c.count,        c.chosen,   c.routing,      c.normalise,
                      c.output_scale, config.mlp, c.shared_inner, c.shared_gate};
    config.experts.each.inner = 70;
    config.experts.each.gated = c.gated;
    config.experts.each.bias = c.bias;
    config.layers[0].experts = true;
    return config;
  }

  template <class T>
  struct Pair {
    OneBlock<T> block{config()};
    const ExpertsWeights& weights = *block.decoder.blocks().weights()[0].experts;
    oracle::Experts reference{block.config.experts, weights};

    Tensor run(const Tensor& x, ExpertsTrace* trace) {
      return ExpertsForward<T>(block.config.experts, weights, block.decoder.blocks().forward(0, block.forward_scratch))
          .run(x, trace);
    }
    Tensor pull_back(const ExpertsTrace& trace, const Tensor& c, const std::vector<std::int64_t>& rows, double factor) {
      return ExpertsPullBack<T>(block.config.experts, weights,
                                block.decoder.blocks().backward(0, block.backward_scratch), trace, MlpRules{factor})
          .run(c, rows);
    }
  };

  /// From one row to more than a tile, and more cotangents than go together.
  template <class T>
  static void equals_autograd() {
    Pair<T> pair;
    for (const std::int64_t rows : {1, 7, 600})
      for (const double factor : {1.0, 0.5}) {
        SCOPED_TRACE(::testing::Message() << rows << " rows, gates scaled by " << factor);
        const Tensor x = pair.block.random({rows, pair.block.config.hidden});
        const oracle::Rules rules{.gate_factor = factor};
        const auto reference = [&](const auto& leaves) { return pair.reference(leaves[0], rules); };
        ExpertsTrace trace;
        const Tensor y = pair.run(x, &trace);
        EXPECT_TRUE(at::equal(y, pair.run(x, nullptr)));
        EXPECT_TRUE(relatively_near(y, reference(std::vector{x.to(at::kDouble)}), kTolerance<T>));
        const auto traced = traced_rows(2 * rows + 1, rows, pair.block.random);
        const Tensor c = pair.block.random({std::ssize(traced), pair.block.config.hidden});
        const auto expected = by_autograd(reference, {x.index_select(0, index_of(traced))}, c);
        EXPECT_TRUE(relatively_near(pair.pull_back(trace, c, traced, factor), expected[0], kTolerance<T>));
      }
  }
};

TEST_P(ExpertsBackward, EqualsAutogradInFloat) { equals_autograd<float>(); }
TEST_P(ExpertsBackward, EqualsAutogradInDouble) { equals_autograd<double>(); }

TEST_P(ExpertsBackward, EqualsDifferences) {
  Pair<double> pair;
  // Small numbers, since the third derivatives of the routing are large.
  const Tensor x = pair.block.random({9, pair.block.config.hidden}, 0.3), c = pair.block.random(x.sizes());
  ExpertsTrace trace;
  pair.run(x, &trace);
  const Tensor gradient = pair.pull_back(trace, c, all_rows(9), 1);
  expect_differences([&](const Tensor& at) { return pair.run(at, nullptr); }, x, c, gradient, pair.block.random);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, ExpertsBackward,
    ::testing::Values(ExpertsCase{"softmax_first", 6, 2, Routing::softmax_first},
                      ExpertsCase{"top_first", 6, 2, Routing::top_first},
                      ExpertsCase{"normalised", 6, 2, Routing::softmax_first, 1},
                      ExpertsCase{"normalised_by_the_euclidean_norm", 4, 3, Routing::softmax_first, 2},
                      ExpertsCase{"all_chosen", 3, 3, Routing::softmax_first, 3},
                      ExpertsCase{"one_chosen", 5, 1, Routing::softmax_first},
                      ExpertsCase{"plain_with_biases", 4, 2, Routing::softmax_first, 1, 0.8, false, Presence::always},
                      ExpertsCase{"more_experts_than_a_panel", 70, 8, Routing::softmax_first},
                      ExpertsCase{"shared", 4, 2, Routing::softmax_first, 0, 1, true, Presence::always, 30},
                      ExpertsCase{"shared_and_weighed", 4, 2, Routing::top_first, 0, 0.5, true, Presence::always, 90,
                                  true}),
    [](const auto& info) { return std::string(info.param.name); });

/// Outputs of two whole slices and a part of one, and more rows than a tile has.
template <class T>
void linear_equals_autograd() {
  constexpr std::int64_t kRows = 50, kDepth = 13, kOut = 2 * Linear<T>::kSlice + 77;
  RandomTensors random(kType<T>);
  Projection weights;
  weights.parts = {StoredMatrix(random({kOut, kDepth}))};
  weights.gain = 1 + random({kDepth}, 0.2);
  weights.bias = random({kOut});
  const oracle::Linear reference(weights);
  const Tensor x = random({kRows, kDepth}), c = random({kRows, kOut});
  const auto forward = [&](const auto& leaves) { return reference(leaves[0]); };
  const Tensor expected = by_autograd(forward, {x}, c)[0];
  for (const bool resident : {true, false}) {
    SCOPED_TRACE(resident ? "packed once" : "packed for every pass");
    const Linear<T> linear(weights, {Precision::full, Precision::full, resident});
    EXPECT_EQ(linear.out(), kOut);
    EXPECT_TRUE(relatively_near(linear.forward(x), reference(x.to(at::kDouble)), kTolerance<T>));
    EXPECT_TRUE(relatively_near(linear.pull_back(c), expected, kTolerance<T>));
  }
}

TEST(LinearBackward, EqualsAutogradInFloat) { linear_equals_autograd<float>(); }
TEST(LinearBackward, EqualsAutogradInDouble) { linear_equals_autograd<double>(); }

TEST(LinearBackward, EqualsDifferences) {
  RandomTensors random(at::kDouble);
  Projection weights;
  weights.parts = {StoredMatrix(random({100, 13}))};
  weights.gain = random({13});
  const Linear<double> linear(weights, {});
  const Tensor x = random({3, 13}), c = random({3, 100});
  expect_differences([&](const Tensor& at) { return linear.forward(at); }, x, c, linear.pull_back(c), random);
}

}  // namespace
}  // namespace whence::transformer
