#include "text_generation.h"

#include <ATen/ops/log.h>
#include <gtest/gtest.h>

#include "checkpoints.h"
#include "sampling.h"
#include "support/text_of_error.h"

namespace whence::transformer {
namespace {

const std::vector<TokenIds> kPrompts = {{1, 17, 5, 40, 33, 8, 21, 60, 12}, {1, 9, 30}, {1, 44}};

std::vector<TokenIds> generate(const Model& model, const std::vector<TokenIds>& prompts,
                               const GenerationConfig& config) {
  return model.generate({pad(prompts)}, config).ids;
}

GenerationConfig sampled(std::uint64_t seed) {
  GenerationConfig config;
  config.do_sample = true;
  config.temperature = 1.5;
  config.seed = seed;
  config.max_new_tokens = 12;
  config.eos = TokenIds{};
  return config;
}

class CachedGeneration : public ::testing::TestWithParam<const char*> {};

TEST_P(CachedGeneration, EqualsWholePasses) {
  const auto model = load_model(own_model(GetParam()));
  GenerationConfig config;
  config.max_new_tokens = 20;
  config.eos = TokenIds{};
  TokenIds text = kPrompts[0];
  const TokenIds continuation = generate(*model, {text}, config)[0];
  for (const std::int64_t id : continuation) {
    const Tensor logits = model->forward({pad({text})}, {positions({{std::ssize(text) - 1}})}).logits;
    ASSERT_EQ(id, logits.flatten().argmax().item<std::int64_t>()) << "after " << text.size() << " tokens";
    text.push_back(id);
  }
  EXPECT_EQ(text.size(), kPrompts[0].size() + 20);
}

INSTANTIATE_TEST_SUITE_P(Models, CachedGeneration,
                         ::testing::Values("mistral_window", "qwen3", "llama_dynamic", "llama_longrope", "llama_yarn"),
                         [](const auto& info) { return std::string(info.param); });

TEST(Sampling, DependsOnSeedAndTextAlone) {
  const auto model = load_model(own_model("qwen3"));
  const auto together = generate(*model, kPrompts, sampled(5));
  for (std::size_t i = 0; i < kPrompts.size(); ++i)
    EXPECT_EQ(generate(*model, {kPrompts[i]}, sampled(5))[0], together[i]);
  EXPECT_EQ(generate(*model, kPrompts, sampled(5)), together);
  EXPECT_NE(generate(*model, kPrompts, sampled(6)), together);
}

TEST(Sampling, OfTheLikeliestTokenIsGreedy) {
  const auto model = load_model(own_model("qwen3"));
  GenerationConfig greedy;
  greedy.max_new_tokens = 12;
  greedy.eos = TokenIds{};
  GenerationConfig top_k = sampled(5), top_p = sampled(5);
  top_k.top_k = 1;
  top_p.top_p = 1e-6;
  EXPECT_EQ(generate(*model, kPrompts, top_k), generate(*model, kPrompts, greedy));
  EXPECT_EQ(generate(*model, kPrompts, top_p), generate(*model, kPrompts, greedy));
}

/// How often each of four tokens with probabilities 0.4, 0.3, 0.2, 0.1 is drawn in 4000 draws.
std::vector<double> frequencies(const GenerationConfig& config) {
  const Tensor logits = at::log(at::tensor(std::vector<float>{0.2F, 0.4F, 0.1F, 0.3F}));
  const TokenIds prompt = {7};
  const Sampler sampler(config, prompt);
  std::vector<double> counts(4);
  for (std::int64_t step = 0; step < 4000; ++step)
    counts[static_cast<std::size_t>(sampler.choose(logits, step))] += 1.0 / 4000;
  return counts;
}

TEST(Sampling, FollowsTheProbabilities) {
  GenerationConfig config = sampled(1);
  config.temperature = 1;
  const auto expect = [](const std::vector<double>& got, const std::vector<double>& expected) {
    for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(got[i], expected[i], 0.03) << i;
  };
  expect(frequencies(config), {0.2, 0.4, 0.1, 0.3});
  config.top_k = 2;
  expect(frequencies(config), {0, 4.0 / 7, 0, 3.0 / 7});
  config.top_k = 0;
  config.top_p = 0.75;
  expect(frequencies(config), {2.0 / 9, 4.0 / 9, 0, 3.0 / 9});
  config.top_p = 1;
  config.temperature = 0.5;
  expect(frequencies(config), {4.0 / 30, 16.0 / 30, 1.0 / 30, 9.0 / 30});
}

TEST(Generation, EndsAtEosAndKeepsIt) {
  const auto model = load_model(own_model("mistral_window"));
  GenerationConfig config;
  config.max_new_tokens = 10;
  config.eos = TokenIds{};
  const TokenIds whole = generate(*model, {kPrompts[0]}, config)[0];
  config.eos = TokenIds{whole[2]};
  const Generation ended = model->generate({pad({kPrompts[0]})}, config);
  const auto first = std::find(whole.begin(), whole.end(), whole[2]);
  EXPECT_EQ(ended.ids[0], TokenIds(whole.begin(), first + 1));
  EXPECT_EQ(ended.reasons[0], StopReason::eos);
}

TEST(Generation, EndsOnceTheTextHoldsAStop) {
  const auto model = load_model(own_model("mistral_window"));
  GenerationConfig config;
  config.max_new_tokens = 10;
  config.eos = TokenIds{};
  const TokenIds whole = generate(*model, {kPrompts[0]}, config)[0];
  config.stop = {"never seen", *model->tokenizer().token(whole[1]) + " " + *model->tokenizer().token(whole[2])};
  const Generation ended = model->generate({pad({kPrompts[0]})}, config);
  EXPECT_EQ(ended.ids[0], TokenIds(whole.begin(), whole.begin() + 3));
  EXPECT_EQ(ended.reasons[0], StopReason::stop_text);
}

TEST(Generation, StopsAtTheEndOfTheContext) {
  const auto model = load_model(own_model("qwen3"));
  GenerationConfig config;
  config.max_new_tokens = 100;
  config.eos = TokenIds{};
  std::int64_t made = 0;
  const Generation generation =
      model->generate({pad({TokenIds(30, 1), TokenIds(32, 1)})}, config, [&](std::int64_t count) { made = count; });
  EXPECT_EQ(generation.ids[0].size(), 2U);
  EXPECT_EQ(generation.ids[1].size(), 0U);
  EXPECT_EQ(generation.reasons, (std::vector{StopReason::length, StopReason::length}));
  EXPECT_EQ(made, 2);
}

TEST(Generation, RefusesBadOptionsAndPrompts) {
  const auto model = load_model(own_model("qwen3"));
  const auto error = [&](const std::vector<TokenIds>& prompts, auto change) {
    GenerationConfig config = sampled(1);
    change(config);
    return testing::text_of_error([&] { generate(*model, prompts, config); });
  };
  const auto keep = [](GenerationConfig&) {};
  EXPECT_EQ(error({TokenIds(33, 1)}, keep),
            "sequence 0: expected at most the model's 32 tokens, found 33; shorten the text");
  EXPECT_EQ(error({{}}, keep), "sequence 0: expected at least one token, found none");
  EXPECT_EQ(error({{99}}, keep), "token id 99 is outside the vocabulary; expected 0 to 63");
  EXPECT_EQ(error({{1}}, [](auto& c) { c.max_new_tokens = -1; }), "max_new_tokens: expected 0 or more, found -1");
  EXPECT_EQ(error({{1}}, [](auto& c) { c.temperature = 0; }),
            "temperature: expected more than 0, found 0.000000; set do_sample to false for the likeliest token");
  EXPECT_EQ(error({{1}}, [](auto& c) { c.top_k = -2; }), "top_k: expected 0 (off) or more, found -2");
  EXPECT_EQ(error({{1}}, [](auto& c) { c.top_p = 1.5; }), "top_p: expected more than 0 and at most 1, found 1.500000");
  EXPECT_EQ(error({{1}}, [](auto& c) { c.stop = {""}; }), "stop: expected texts that are not empty");
}

}  // namespace
}  // namespace whence::transformer
