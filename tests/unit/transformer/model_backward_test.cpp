// Gradients of stored checkpoints at the inputs of all layers, from the files to the numbers, against autograd.
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include "checkpoint_oracle.h"
#include "checkpoints.h"
#include "random_decoder.h"
#include "relative_error.h"
#include "traced_decoder.h"

namespace whence::transformer {
namespace {

/// Logits and gradients of every step of every text, the float32 of the engine against double precision.
void expect_autograd(const ModelRequest& request, const std::vector<TokenIds>& texts,
                     const std::vector<std::vector<std::int64_t>>& asked, double tolerance) {
  const auto model = load_model(request);
  const oracle::Decoder reference = StoredDecoder(request).for_autograd();
  std::vector<std::int64_t> layers;
  for (std::int64_t i = 0; i <= model->info().layers; ++i) layers.push_back(i);
  const Forward forward =
      model->forward({pad(texts)}, {positions(asked), false, /*layer_states=*/true, /*trace=*/true});
  const std::int64_t steps = std::ssize(asked.front());
  RandomTensors random(at::kFloat);
  const Tensor cotangents = random({std::ssize(texts), steps, model->info().vocabulary});
  PullBackRequest pull_back;
  pull_back.layers = decoder_sites(layers);
  const Gradients got = model->pull_back(forward, {cotangents}, pull_back);
  ASSERT_EQ(got.layers.size(), layers.size());
  // Where nothing is done to the embeddings, they are what the first block takes.
  const TokenIds& first = texts.front();
  const Tensor taken = forward.layer_states[0][0].narrow(0, 0, std::ssize(first));
  if (at::equal(taken, model->embed(pad({first}).ids, Side::target)[0])) {
    EXPECT_TRUE(relatively_near(got.layers[0], got.target, 0));
  }
  for (std::int64_t b = 0; b < std::ssize(texts); ++b) {
    const auto& text = texts[static_cast<std::size_t>(b)];
    const auto& read = asked[static_cast<std::size_t>(b)];
    const std::int64_t length = std::ssize(text);
    const Tensor embeddings = reference.embed(at::tensor(text, at::kLong));
    EXPECT_TRUE(relatively_near(model->embed(pad({text}).ids, Side::target)[0], embeddings, 1e-6));
    const Tensor logits = reference.run(embeddings, length).logits;
    const auto expected = oracle::gradients(reference, embeddings, length, read, cotangents[b], layers);
    for (std::int64_t t = 0; t < steps; ++t) {
      SCOPED_TRACE(::testing::Message() << "text " << b << ", step " << t);
      EXPECT_TRUE(relatively_near(forward.logits[b][t], logits[read[static_cast<std::size_t>(t)]], tolerance));
      for (std::size_t i = 0; i < layers.size(); ++i) {
        const Tensor layer = got.layers[i][b].select(1, t);
        EXPECT_TRUE(relatively_near(layer.narrow(0, 0, length), expected[i].select(1, t), tolerance)) << "layer " << i;
        EXPECT_EQ(layer.narrow(0, length, layer.size(0) - length).count_nonzero().item<std::int64_t>(), 0);
      }
    }
  }
}

/// Relative to the largest number of a step.
constexpr double kTolerance = 1e-5;
/// The GGUF checkpoints of Gemma are up to 3.8e-5 away, in a few steps each.
double tolerance_of(const std::string& name) {
  return name.starts_with("gemma") && name.ends_with("_gguf") ? 5e-5 : kTolerance;
}

class ModelBackward : public ::testing::TestWithParam<const char*> {};

TEST_P(ModelBackward, EqualsAutograd) {
  const auto expected = read_json(own_model(GetParam()) / "expected.json");
  expect_autograd(request_for_own(GetParam()), expected["texts"].get<std::vector<TokenIds>>(),
                  {{8, 0, 4, 4, 7, 3}, {15, 23, 3, 0, 22, 11}}, tolerance_of(GetParam()));
}

INSTANTIATE_TEST_SUITE_P(Stored, ModelBackward, ::testing::ValuesIn(kOwnModels),
                         [](const auto& info) { return std::string(info.param); });

TEST(ModelBackward, OfTheStoredCasesEqualsAutograd) {
  for (const char* name : {"llama", "qwen2"})
    expect_autograd(request_for(case_model(name)), {{1, 17, 5, 40, 33, 8, 21, 60, 12}, {300, 2, 2, 77}},
                    {{8, 1, 4, 5}, {0, 3, 2, 1}}, kTolerance);
}

/// 30 layers of a real model. In float32 autograd itself is up to 5e-5 from the gradient in double precision.
TEST(SmolLm2, ItsBackwardEqualsAutograd) {
  const ModelRequest request = request_for(smollm2());
  const TokenIds text = {1, 504, 2365, 314, 253, 1119, 2070, 28, 284};
  const std::vector<std::int64_t> asked = {8, 4}, layers = {0, 15, 30};
  const std::int64_t length = std::ssize(text);
  const StoredDecoder stored(request);
  const oracle::Decoder reference = stored.for_autograd();
  RandomTensors random(at::kFloat);
  const Tensor cotangents = random({1, 2, stored.config.decoder.vocabulary});
  const Tensor embeddings = reference.embed(at::tensor(text, at::kLong));
  const auto expected = oracle::gradients(reference, embeddings, length, asked, cotangents[0], layers);

  const Decoder<double> decoder(stored.config.decoder, stored.weights.decoder, {.resident = false});
  const auto in_double =
      TracedDecoder<double>(decoder, {embeddings}, {asked}).gradients(cotangents.to(at::kDouble), 0, layers);
  const auto model = load_model(request);
  PullBackRequest pull_back;
  pull_back.layers = decoder_sites(layers);
  const Gradients in_float = model->pull_back(
      model->forward({pad({text})}, {positions({asked}), false, false, /*trace=*/true}), {cotangents}, pull_back);
  for (std::size_t i = 0; i < layers.size(); ++i)
    for (std::int64_t t = 0; t < 2; ++t) {
      SCOPED_TRACE(::testing::Message() << "layer " << layers[i] << ", step " << t);
      EXPECT_TRUE(relatively_near(in_double[i][0].select(1, t), expected[i].select(1, t), 1e-10));
      EXPECT_TRUE(relatively_near(in_float.layers[i][0].select(1, t), expected[i].select(1, t), 5e-5));
    }
}

}  // namespace
}  // namespace whence::transformer
