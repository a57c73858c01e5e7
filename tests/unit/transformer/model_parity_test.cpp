// Logits and greedy texts against the stored numbers of the reference libraries.
#include <ATen/ops/softmax.h>
#include <gtest/gtest.h>

#include "checkpoints.h"
#include "support/tensors.h"

namespace whence::transformer {
namespace {

class GreedyCases : public ::testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(GreedyCases, ContinueAsTheReferenceDoes) {
  const auto [model_name, case_name] = GetParam();
  const auto expected = read_case(case_name);
  const auto model = load_model(std::string(model_name) == "smollm2" ? smollm2() : case_model(model_name));
  const auto prompt = expected["input_ids"].get<TokenIds>();
  const auto whole = expected["generated_ids"].get<TokenIds>();
  GenerationConfig config;
  config.max_new_tokens = std::ssize(whole) - std::ssize(prompt);
  const Generation generation = model->generate({pad({prompt})}, config);
  EXPECT_EQ(generation.ids.at(0), TokenIds(whole.begin() + std::ssize(prompt), whole.end()));
}

INSTANTIATE_TEST_SUITE_P(Stored, GreedyCases,
                         ::testing::Values(std::pair{"llama", "llama--saliency--generate0"},
                                           std::pair{"llama", "llama--saliency--generate1"},
                                           std::pair{"smollm2",
                                                     "smollm2-135m-instruct-q4_1--saliency--george-greedy"}));

/// The float32 noise that the stored cases of the tiny models allow.
constexpr double kRelative = 1e-3, kAttentionNoise = 1e-4, kStepRelative = 5e-4, kStepNoise = 2e-6;

class TinyCases : public ::testing::TestWithParam<const char*> {
 protected:
  std::unique_ptr<Model> model = load_model(case_model(GetParam()));

  /// Positions whose next token is explained, [1,T].
  static Tensor predicting(const nlohmann::json& expected) {
    std::vector<std::int64_t> asked;
    for (std::int64_t i = expected["attr_pos_start"]; i < expected["attr_pos_end"].get<std::int64_t>(); ++i)
      asked.push_back(i - 1);
    return positions({asked});
  }
};

TEST_P(TinyCases, GiveTheProbabilitiesOfTheReference) {
  const auto expected = read_case(std::string(GetParam()) + "--saliency--probability");
  const auto ids = expected["target_ids"].get<TokenIds>();
  const Tensor asked = predicting(expected);
  const Tensor next = at::tensor(ids, at::kLong).index_select(0, asked[0] + 1).unsqueeze(1);
  const Tensor logits = model->forward({pad({ids})}, {asked}).logits[0];
  const auto scores = [&](const char* name) {
    return at::tensor(expected["step_scores"][name].get<std::vector<float>>());
  };
  EXPECT_TRUE(testing::near(logits.gather(1, next).squeeze(1), scores("logit"), kStepRelative, kStepNoise));
  EXPECT_TRUE(testing::near(at::softmax(logits, -1).gather(1, next).squeeze(1), scores("probability"), kStepRelative,
                            kStepNoise));
}

TEST_P(TinyCases, GiveTheAttentionsOfTheReference) {
  const auto expected = read_case(std::string(GetParam()) + "--attention--default");
  const Tensor asked = predicting(expected);
  const auto ids = expected["target_ids"].get<TokenIds>();
  const Tensor attentions = model->forward({pad({ids})}, {asked, /*attentions=*/true}).target_attentions[0];
  const auto& stored =
      expected["target_attributions"];  // [position][step][layer][head], null from the explained token on
  for (std::int64_t t = 0; t < asked.size(1); ++t) {
    const std::int64_t query = asked[0][t].item<std::int64_t>();
    for (std::int64_t l = 0; l <= query; ++l)
      for (std::int64_t n = 0; n < model->info().layers; ++n) {
        const auto heads =
            stored[static_cast<std::size_t>(l)][static_cast<std::size_t>(t)][static_cast<std::size_t>(n)];
        const Tensor got = attentions.select(0, n).select(1, query).select(1, l);
        EXPECT_TRUE(testing::near(got, at::tensor(heads.get<std::vector<float>>()), kRelative, kAttentionNoise));
      }
  }
}

INSTANTIATE_TEST_SUITE_P(Stored, TinyCases, ::testing::Values("llama", "qwen2"),
                         [](const auto& info) { return std::string(info.param); });

TEST(SmolLm2, GivesTheProbabilitiesOfTheReference) {
  const auto model = load_model(smollm2());
  const auto expected = read_case("smollm2-135m-instruct-q4_1--saliency--george");
  const auto ids = expected["target_ids"].get<TokenIds>();
  const std::int64_t start = expected["attr_pos_start"], end = expected["attr_pos_end"];
  std::vector<std::int64_t> asked;
  for (std::int64_t i = start; i < end; ++i) asked.push_back(i - 1);
  const Tensor logits = model->forward({pad({ids})}, {positions({asked})}).logits;
  const Tensor p = at::softmax(logits[0], -1);
  const auto probabilities = expected["step_scores"]["probability"].get<std::vector<double>>();
  const auto entropies = expected["step_scores"]["entropy"].get<std::vector<double>>();
  for (std::int64_t t = 0; t < end - start; ++t) {
    const auto i = static_cast<std::size_t>(t);
    EXPECT_NEAR(p[t][ids[static_cast<std::size_t>(start + t)]].item<double>(), probabilities[i],
                1e-3 * probabilities[i] + 1e-5);
    EXPECT_NEAR(-(p[t] * p[t].log()).sum().item<double>(), entropies[i], 1e-3 * entropies[i] + 1e-5);
  }
}

TEST(SmolLm2, TellsWhatItIs) {
  const ModelInfo info = load_model(smollm2())->info();
  EXPECT_EQ(info.name, "SmolLM2-135M-Instruct.Q4_1");
  EXPECT_EQ(info.architecture, "llama");
  EXPECT_EQ(info.class_name, "LlamaForCausalLM");
  EXPECT_EQ(info.layers, 30);
  EXPECT_EQ(info.heads, 9);
  EXPECT_EQ(info.hidden, 576);
  EXPECT_EQ(info.vocabulary, 49152);
  EXPECT_EQ(info.max_positions, 8192);
  EXPECT_EQ(info.parameters, 134515008);
  EXPECT_EQ(info.weights_format, "gguf Q4_1");
  EXPECT_EQ(info.eos, TokenIds{2});
  EXPECT_EQ(info.files, std::vector<std::string>{smollm2().string()});
}

}  // namespace
}  // namespace whence::transformer
