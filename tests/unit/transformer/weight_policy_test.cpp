// Ways to hold weights and to round their products, against float32 with everything unpacked.
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cosine_similarity.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include "checkpoints.h"
#include "random_decoder.h"
#include "relative_error.h"

namespace whence::transformer {
namespace {

ModelRequest with(ModelRequest request, const std::string& dtype, const std::string& weights) {
  request.dtype = dtype;
  request.weights = weights;
  return request;
}

/// Logits, gradients and greedy text of a stored checkpoint.
struct Outcome {
  Tensor logits, gradients;
  TokenIds text;
};
Outcome outcome_of(const Model& model) {
  const std::vector<TokenIds> texts = {{1, 17, 5, 40, 33, 8, 21, 60, 12}, {1, 9, 30, 44, 2, 51}};
  const Forward forward = model.forward({pad(texts)}, {positions({{3, 8, 5}, {0, 5, -1}}), false, false, true});
  RandomTensors random(at::kFloat);
  GenerationConfig config;
  config.max_new_tokens = 6;
  config.eos = TokenIds{};
  return {forward.logits, model.pull_back(forward, {random(forward.logits.sizes())}, {}).target,
          model.generate({pad({texts[0]})}, config).ids.at(0)};
}

class Weights : public ::testing::TestWithParam<const char*> {};

TEST_P(Weights, GiveTheSamePackedAsUnpacked) {
  const ModelRequest request = request_for_own(GetParam());
  const auto unpacked = load_model(with(request, "float32", "unpacked"));
  const auto packed = load_model(with(request, "float32", "packed"));
  const Outcome expected = outcome_of(*unpacked), got = outcome_of(*packed);
  EXPECT_TRUE(relatively_near(got.logits, expected.logits, 1e-5));
  EXPECT_TRUE(relatively_near(got.gradients, expected.gradients, 1e-5));
  EXPECT_EQ(got.text, expected.text);
  EXPECT_LT(packed->info().weight_bytes, unpacked->info().weight_bytes / 2);
  EXPECT_GT(packed->info().mapped_bytes, 0);
  EXPECT_GT(packed->info().pass_bytes.fixed, 0);
  EXPECT_EQ(unpacked->info().pass_bytes.fixed, 0);
}

TEST_P(Weights, RoundedToBFloat16GiveTheSamePackedAsUnpacked) {
  for (const char* dtype : {"mixed", "bfloat16"}) {
    const ModelRequest request = request_for_own(GetParam());
    const Outcome expected = outcome_of(*load_model(with(request, dtype, "unpacked")));
    const Outcome got = outcome_of(*load_model(with(request, dtype, "packed")));
    EXPECT_TRUE(relatively_near(got.logits, expected.logits, 1e-5)) << dtype;
    EXPECT_TRUE(relatively_near(got.gradients, expected.gradients, 1e-5)) << dtype;
  }
}

/// The forward of "mixed" is that of float32; gradients, and everything in bfloat16, are off by a few of its units.
TEST_P(Weights, RoundedToBFloat16AreNear) {
  const ModelRequest request = request_for_own(GetParam());
  const Outcome expected = outcome_of(*load_model(with(request, "float32", "unpacked")));
  const Outcome mixed = outcome_of(*load_model(with(request, "mixed", "unpacked")));
  const Outcome rounded = outcome_of(*load_model(with(request, "bfloat16", "unpacked")));
  EXPECT_TRUE(relatively_near(mixed.logits, expected.logits, 0));
  EXPECT_TRUE(relatively_near(mixed.gradients, expected.gradients, 0.02));
  EXPECT_FALSE(relatively_near(mixed.gradients, expected.gradients, 1e-5));
  EXPECT_TRUE(relatively_near(rounded.logits, expected.logits, 0.05));
  EXPECT_FALSE(relatively_near(rounded.logits, expected.logits, 1e-5));
  // Of random weights behind scaled embeddings little is left where the forward is rounded.
  EXPECT_TRUE(
      relatively_near(rounded.gradients, expected.gradients, std::string(GetParam()).starts_with("gemma") ? 0.6 : 0.2));
}

INSTANTIATE_TEST_SUITE_P(Stored, Weights, ::testing::ValuesIn(kOwnModels),
                         [](const auto& info) { return std::string(info.param); });

TEST(AutomaticWeights, StayUnpackedWhenTheyTakeNoMoreThanHalfOfTheBudget) {
  ModelRequest request = request_for(case_model("llama"));
  const auto bytes_with = [&](std::int64_t budget, const std::string& dtype = "float32") {
    request.memory_bytes = budget;
    request.dtype = dtype;
    return load_model(request)->info().weight_bytes;
  };
  // Two layers of 32 x (2 x 32 + 2 x 16 + 3 x 48) numbers and a head of 400 x 32, once for each direction.
  const std::int64_t numbers = 2 * 32 * (2 * 32 + 2 * 16 + 3 * 48) + 400 * 32;
  EXPECT_EQ(bytes_with(0), 8 * numbers);
  EXPECT_EQ(bytes_with(16 * numbers), 8 * numbers);
  EXPECT_EQ(bytes_with(16 * numbers - 2), 0);
  EXPECT_EQ(bytes_with(16 * numbers - 2, "mixed"), 6 * numbers);
  EXPECT_EQ(bytes_with(8 * numbers, "bfloat16"), 4 * numbers);
  EXPECT_EQ(bytes_with(8 * numbers - 2, "bfloat16"), 0);
}

/// Ranks of numbers; equal ones share theirs.
Tensor ranks(const Tensor& numbers) {
  const Tensor order = numbers.argsort();
  Tensor result = at::zeros_like(numbers);
  const auto at = [&](std::int64_t i) { return numbers[order[i]].item<double>(); };
  for (std::int64_t first = 0, end; first < numbers.numel(); first = end) {
    for (end = first + 1; end < numbers.numel() && at(end) == at(first); ++end) {
    }
    result.index_fill_(0, order.slice(0, first, end), 0.5 * static_cast<double>(first + end - 1));
  }
  return result;
}

double cosine(const Tensor& a, const Tensor& b) { return at::cosine_similarity(a, b, 0).item<double>(); }
double spearman(const Tensor& a, const Tensor& b) {
  const Tensor x = ranks(a), y = ranks(b);
  return cosine(x - x.mean(), y - y.mean());
}

/// Saliency of a real model: at every token up to where a step is read, the norm of the gradient of its probability.
struct Saliency {
  Tensor probabilities;        // [T]
  std::vector<Tensor> scores;  // of each step
};
Saliency saliency_of(const Model& model) {
  const auto expected = read_case("smollm2-135m-instruct-q4_1--saliency--george");
  const auto ids = expected["target_ids"].get<TokenIds>();
  std::vector<std::int64_t> asked;
  for (std::int64_t i = expected["attr_pos_start"]; i < expected["attr_pos_end"].get<std::int64_t>(); ++i)
    asked.push_back(i - 1);
  const Forward forward = model.forward({pad({ids})}, {positions({asked}), false, false, /*trace=*/true});
  const Tensor p = at::softmax(forward.logits, -1);
  const Tensor next = (at::tensor(asked, at::kLong) + 1).unsqueeze(0);
  const Tensor target = at::tensor(ids, at::kLong).unsqueeze(0).gather(1, next).unsqueeze(-1);
  const Tensor chosen = p.gather(2, target);
  const Tensor cotangents = (-p * chosen).scatter_add(2, target, chosen);
  const Tensor norms = model.pull_back(forward, {cotangents}, {}).target[0].norm(2, {-1}).to(at::kDouble);  // [L,T]
  Saliency result{chosen.flatten().to(at::kDouble), {}};
  for (std::size_t t = 0; t < asked.size(); ++t)
    result.scores.push_back(norms.select(1, static_cast<std::int64_t>(t)).narrow(0, 0, asked[t] + 1));
  return result;
}

void expect_agreement(const std::string& dtype, double least_cosine, double least_spearman, double probability) {
  const auto saliency = [](const std::string& of) {
    return saliency_of(*load_model(with(request_for(smollm2()), of, "unpacked")));
  };
  const Saliency expected = saliency("float32"), got = saliency(dtype);
  EXPECT_LE((got.probabilities - expected.probabilities).abs().max().item<double>(), probability);
  for (std::size_t t = 0; t < expected.scores.size(); ++t)
    EXPECT_GE(cosine(got.scores[t], expected.scores[t]), least_cosine) << "step " << t;
  // Of all steps together: among the dozen tokens of one, two neighbours that change places are already 0.007.
  EXPECT_GE(spearman(at::cat(got.scores), at::cat(expected.scores)), least_spearman);
}

TEST(SmolLm2, GivesTheSamePackedAsUnpackedInLessThanHalfOfTheMemory) {
  const auto unpacked = load_model(with(request_for(smollm2()), "float32", "unpacked"));
  const Saliency expected = saliency_of(*unpacked);
  const auto packed = load_model(with(request_for(smollm2()), "float32", "packed"));
  const Saliency got = saliency_of(*packed);
  EXPECT_TRUE(relatively_near(got.probabilities, expected.probabilities, 1e-5));
  EXPECT_TRUE(relatively_near(at::cat(got.scores), at::cat(expected.scores), 1e-5));
  const auto bytes = [](const ModelInfo& info) {
    return info.weight_bytes + info.mapped_bytes + info.pass_bytes.fixed;
  };
  EXPECT_LT(bytes(packed->info()), bytes(unpacked->info()) / 2);
}

TEST(SmolLm2, MixedRanksTokensLikeFloat32) { expect_agreement("mixed", 0.9999, 0.995, 1e-4); }

/// Sums, norms and softmax stay in float32, so that what is off is what the rounded factors lose.
TEST(SmolLm2, BFloat16IsNearFloat32) { expect_agreement("bfloat16", 0.9995, 0.995, 0.02); }

}  // namespace
}  // namespace whence::transformer
