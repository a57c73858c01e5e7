// Every member of the Llama family against transformers, on the checkpoints of tools/fixtures/make_llama_family.py.
#include <ATen/ops/ones_like.h>
#include <ATen/ops/stack.h>
#include <gtest/gtest.h>

#include "checkpoints.h"
#include "support/tensors.h"

namespace whence::transformer {
namespace {

constexpr double kTolerance = 2e-5;

class Family : public ::testing::TestWithParam<const char*> {
 protected:
  std::unique_ptr<Model> model = load_model(request_for_own(GetParam()));
  nlohmann::json expected = read_json(own_model(GetParam()) / "expected.json");
  std::vector<TokenIds> texts = expected["texts"].get<std::vector<TokenIds>>();
  std::vector<std::vector<std::int64_t>> asked = expected["positions"].get<std::vector<std::vector<std::int64_t>>>();

  Tensor expected_logits(std::size_t text) const {
    std::vector<Tensor> rows;
    for (const auto& row : expected["logits"][text]) rows.push_back(at::tensor(row.get<std::vector<float>>()));
    return at::stack(rows);
  }
};

TEST_P(Family, GivesTheLogitsOfTheReference) {
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const Tensor logits = model->forward({pad({texts[i]})}, {positions({asked[i]})}).logits;
    EXPECT_TRUE(testing::near(logits[0], expected_logits(i), kTolerance, kTolerance)) << "text " << i;
  }
}

TEST_P(Family, PaddingChangesNothing) {
  const Tensor logits = model->forward({pad(texts)}, {positions(asked)}).logits;
  for (std::size_t i = 0; i < texts.size(); ++i)
    EXPECT_TRUE(testing::near(logits[static_cast<std::int64_t>(i)], expected_logits(i), kTolerance, kTolerance))
        << "text " << i;
}

TEST_P(Family, WritingTheAttentionsOutChangesNothing) {
  const Forward seen = model->forward({pad(texts)}, {positions(asked), /*attentions=*/true, /*layer_states=*/true});
  for (std::size_t i = 0; i < texts.size(); ++i)
    EXPECT_TRUE(testing::near(seen.logits[static_cast<std::int64_t>(i)], expected_logits(i), kTolerance, kTolerance));
  const ModelInfo& info = model->info();
  const std::int64_t longest = std::ssize(texts[1]);
  EXPECT_EQ(seen.target_attentions.sizes(), at::IntArrayRef({2, info.layers, info.heads, longest, longest}));
  for (std::int64_t i = 0; i < 2; ++i) {
    const Tensor sums = seen.target_attentions[i].sum(-1).narrow(-1, 0, std::ssize(texts[static_cast<std::size_t>(i)]));
    EXPECT_TRUE(testing::near(sums, at::ones_like(sums), 0, 1e-5));
  }
  EXPECT_EQ(seen.target_attentions.triu(1).abs().max().item<double>(), 0);
  ASSERT_EQ(std::ssize(seen.layer_states), info.layers + 1);
  for (const auto& states : seen.layer_states) EXPECT_EQ(states.sizes(), at::IntArrayRef({2, longest, info.hidden}));
}

TEST_P(Family, GeneratesTheGreedyTextOfTheReference) {
  GenerationConfig config;
  config.max_new_tokens = 10;
  config.eos = TokenIds{};
  const auto generation = model->generate({pad({expected["prompt"].get<TokenIds>()})}, config);
  EXPECT_EQ(generation.ids.at(0), expected["generated"].get<TokenIds>());
}

INSTANTIATE_TEST_SUITE_P(Stored, Family, ::testing::ValuesIn(kOwnModels),
                         [](const auto& info) { return std::string(info.param); });

TEST(Window, HidesWhatLiesFartherBack) {
  const auto model = load_model(own_model("mistral_window"));  // a window of 5 on every layer
  const TokenIds text = read_json(own_model("mistral_window") / "expected.json")["texts"][1].get<TokenIds>();
  const Tensor attentions = model->forward({pad({text})}, {positions({{0}}), /*attentions=*/true}).target_attentions[0];
  EXPECT_EQ(attentions.tril(-5).abs().max().item<double>(), 0);
  EXPECT_GT(attentions.diagonal(-4, -2, -1).min().item<double>(), 0);
}

}  // namespace
}  // namespace whence::transformer
