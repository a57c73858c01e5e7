// The explicit backward of every op, and of a whole decoder, against autograd through the same forward, in double
// precision.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/nonzero.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "decoder_pull_back.h"
#include "support/tensors.h"

namespace whence::transformer {
namespace {

constexpr std::int64_t kBatch = 2, kRows = 7, kSteps = 3, kHidden = 12;
constexpr double kTolerance = 1e-10;

/// Normal numbers, other ones at every call of one test.
class Random {
 public:
  Tensor operator()(at::IntArrayRef shape, double scale = 1) {
    return scale * at::randn(shape, generator_, at::TensorOptions().dtype(at::kDouble));
  }
  Linear linear(std::int64_t out, std::int64_t in, bool bias = false) {
    return {(*this)({out, in}, 0.4), bias ? (*this)({out}, 0.4) : Tensor()};
  }
  RmsNorm norm(std::int64_t size) { return {1 + (*this)({size}, 0.2), 1e-6}; }

 private:
  at::Generator generator_ = at::detail::createCPUGenerator(11);
};

/// Gradients of x for T cotangents [..,T,out] of y = forward(x), by autograd: [..,T,in].
template <class Function>
Tensor by_autograd(const Function& forward, const Tensor& x, const Tensor& cotangents) {
  const at::AutoGradMode with_grad(true);
  const Tensor leaf = x.detach().clone().requires_grad_();
  const Tensor y = forward(leaf);
  std::vector<Tensor> steps;
  for (std::int64_t t = 0; t < cotangents.size(-2); ++t)
    steps.push_back(torch::autograd::grad({y}, {leaf}, {cotangents.select(-2, t)}, /*retain_graph=*/true).front());
  return at::stack(steps, -2);
}

TEST(Backward, OfLinear) {
  Random random;
  const Linear linear = random.linear(9, kHidden, /*bias=*/true);
  const Tensor x = random({kBatch, kRows, kHidden}), c = random({kBatch, kRows, kSteps, 9});
  const Tensor expected = by_autograd([&](const Tensor& v) { return linear.forward(v); }, x, c);
  EXPECT_TRUE(testing::near(linear.pull_back(c), expected, kTolerance, kTolerance));
  Tensor sum = expected.clone();
  linear.add_pull_back(c, sum);
  EXPECT_TRUE(testing::near(sum, 2 * expected, kTolerance, kTolerance));
}

TEST(Backward, OfRmsNorm) {
  Random random;
  const RmsNorm norm = random.norm(kHidden);
  const Tensor x = random({kBatch, kRows, kHidden}), c = random({kBatch, kRows, kSteps, kHidden});
  NormTrace trace;
  const Tensor y = norm.forward(x, &trace);
  EXPECT_TRUE(testing::near(y, norm.forward(x), kTolerance, kTolerance));
  const Tensor expected = by_autograd([&](const Tensor& v) { return norm.forward(v); }, x, c);
  EXPECT_TRUE(testing::near(norm.pull_back(trace, c), expected, kTolerance, kTolerance));
}

std::string activation_label(Activation activation) {
  switch (activation) {
    case Activation::silu:
      return "silu";
    case Activation::gelu:
      return "gelu";
    case Activation::gelu_tanh:
      return "gelu_tanh";
    case Activation::relu:
      return "relu";
  }
  return {};
}

class BackwardOfMlp : public ::testing::TestWithParam<Activation> {};

TEST_P(BackwardOfMlp, EqualsAutograd) {
  Random random;
  const GatedMlp mlp{random.linear(20, kHidden, true), random.linear(20, kHidden, true),
                     random.linear(kHidden, 20, true), GetParam()};
  const Tensor x = random({kBatch, kRows, kHidden}), c = random({kBatch, kRows, kSteps, kHidden});
  MlpTrace trace;
  EXPECT_TRUE(testing::near(mlp.forward(x, &trace), mlp.forward(x), 0, 0));
  const Tensor expected = by_autograd([&](const Tensor& v) { return mlp.forward(v); }, x, c);
  EXPECT_TRUE(testing::near(mlp.pull_back(trace, c), expected, kTolerance, kTolerance));
}

INSTANTIATE_TEST_SUITE_P(Activations, BackwardOfMlp,
                         ::testing::Values(Activation::silu, Activation::gelu, Activation::gelu_tanh, Activation::relu),
                         [](const auto& info) { return activation_label(info.param); });

struct AttentionShape {
  const char* name;
  std::int64_t heads, key_value_heads, window;
  bool rotary, norms;
};

class BackwardOfAttention : public ::testing::TestWithParam<AttentionShape> {};

RotaryConfig rotary_of(std::int64_t head_size) {
  RotaryConfig rotary;
  rotary.size = head_size;
  return rotary;
}

Attention random_attention(Random& random, const AttentionShape& shape, std::int64_t head_size) {
  Attention attention;
  attention.heads = shape.heads;
  attention.key_value_heads = shape.key_value_heads;
  attention.head_size = head_size;
  attention.query = random.linear(shape.heads * head_size, kHidden, true);
  attention.key = random.linear(shape.key_value_heads * head_size, kHidden, true);
  attention.value = random.linear(shape.key_value_heads * head_size, kHidden);
  attention.output = random.linear(kHidden, shape.heads * head_size);
  if (shape.norms) {
    attention.query_norm = random.norm(head_size);
    attention.key_norm = random.norm(head_size);
  }
  return attention;
}

TEST_P(BackwardOfAttention, EqualsAutograd) {
  Random random;
  const std::int64_t head_size = 4;
  const Attention attention = random_attention(random, GetParam(), head_size);
  const AttentionMask mask = attention_mask(0, kRows, GetParam().window);
  const RotaryTable table = Rotary(rotary_of(head_size)).table({kRows}, 0, kRows);
  const RotaryTable* rotary = GetParam().rotary ? &table : nullptr;
  const Tensor x = random({kBatch, kRows, kHidden}), c = random({kBatch, kRows, kSteps, kHidden});

  AttentionTrace trace;
  AttentionContext context{0, &mask, rotary};
  const Tensor expected = by_autograd([&](const Tensor& v) { return attention.forward(v, context); }, x, c);
  context.trace = &trace;
  attention.forward(x, context);
  EXPECT_TRUE(testing::near(attention.pull_back(trace, mask, rotary, attention.output.pull_back(c)), expected,
                            kTolerance, kTolerance));
}

INSTANTIATE_TEST_SUITE_P(Shapes, BackwardOfAttention,
                         ::testing::Values(AttentionShape{"one_key_per_query", 3, 3, 0, true, false},
                                           AttentionShape{"shared_keys", 4, 2, 0, true, false},
                                           AttentionShape{"one_key_for_all", 4, 1, 0, false, false},
                                           AttentionShape{"window", 4, 2, 3, true, false},
                                           AttentionShape{"normed_queries_and_keys", 4, 2, 0, true, true}),
                         [](const auto& info) { return std::string(info.param.name); });

/// Steps of which many fit no chunk, sequences of different lengths, and places where there is no step.
TEST(Backward, OfAWholeDecoder) {
  Random random;
  const AttentionShape shape{"", 4, 2, 5, true, true};
  constexpr std::int64_t kHead = 4, kLength = 41, kVocabulary = 30, kManySteps = 37;
  DecoderConfig config;
  config.hidden = kHidden;
  config.heads = shape.heads;
  config.key_value_heads = shape.key_value_heads;
  config.head_size = kHead;
  config.layers = {{0, true}, {shape.window, true}, {0, false}};
  config.rotary = rotary_of(kHead);
  std::vector<Block> blocks;
  for (std::size_t i = 0; i < config.layers.size(); ++i)
    blocks.push_back({random.norm(kHidden),
                      random.norm(kHidden),
                      random_attention(random, shape, kHead),
                      {random.linear(20, kHidden), random.linear(20, kHidden), random.linear(kHidden, 20)}});
  const Decoder decoder(config, random({kVocabulary, kHidden}), blocks, random.norm(kHidden),
                        random.linear(kVocabulary, kHidden), Rotary(config.rotary));

  const std::vector<std::int64_t> lengths{kLength, 23};
  Tensor positions = at::arange(3, 3 + kManySteps).unsqueeze(0).repeat({2, 1});
  positions[1] = positions[1].where(positions[1] < 23, at::tensor(std::int64_t{-1}));
  const Tensor x = random({2, kLength, kHidden});
  const Tensor c = random({2, kManySteps, kVocabulary}) * (positions >= 0).unsqueeze(-1);
  const auto logits_of = [&](const DecoderOutput& output) {
    const Tensor rows = output.states.gather(1, positions.clamp_min(0).unsqueeze(-1).expand({-1, -1, kHidden}));
    return decoder.logits(decoder.normalise(rows));
  };

  PassTrace trace;
  DecoderPass traced{lengths};
  traced.trace = &trace.decoder;
  const Tensor asked = (positions.flatten() >= 0).nonzero().squeeze(1);
  const DecoderOutput output = decoder.run(x, traced);
  const Tensor rows = output.states.gather(1, positions.clamp_min(0).unsqueeze(-1).expand({-1, -1, kHidden}));
  decoder.final_norm().forward(rows.flatten(0, 1).index_select(0, asked), &trace.final_norm);
  trace.positions = positions;
  trace.index = asked;
  trace.longest = kLength;
  const Tensor got = pull_back(decoder, trace, c);

  const at::AutoGradMode with_grad(true);
  const Tensor leaf = x.clone().requires_grad_();
  const Tensor logits = logits_of(decoder.run(leaf, DecoderPass{lengths}));
  for (std::int64_t t = 0; t < kManySteps; ++t) {
    const Tensor expected =
        torch::autograd::grad({(logits.select(1, t) * c.select(1, t)).sum()}, {leaf}, {}, /*retain_graph=*/true)
            .front();
    EXPECT_TRUE(testing::near(got.select(2, t), expected, kTolerance, kTolerance)) << "step " << t;
  }
}

}  // namespace
}  // namespace whence::transformer
