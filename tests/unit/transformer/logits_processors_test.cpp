// What the logits processors of transformers do, see tools/fixtures/make_generation_cases.py.
#include "logits_processors.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/full.h>
#include <ATen/ops/isinf.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "checkpoints.h"
#include "sampling.h"
#include "whence/generation_options.h"

namespace whence::transformer {
namespace {

using nlohmann::json;

constexpr double kNever = -std::numeric_limits<double>::infinity();

Tensor scores_of(const json& values) {
  std::vector<double> scores;
  for (const json& value : values) scores.push_back(value.is_null() ? kNever : value.get<double>());
  return at::tensor(scores, at::kFloat);
}

void apply(const std::string& name, const json& arguments, const TokenIds& ids, const Tensor& scores) {
  const auto number = [&](const char* key) { return arguments.at(key).get<double>(); };
  const auto integer = [&](const char* key) { return arguments.at(key).get<std::int64_t>(); };
  const auto least = arguments.value("min_tokens_to_keep", std::int64_t{1});
  if (name == "RepetitionPenalty") return penalise_repetition(ids, scores, number("penalty"));
  if (name == "NoRepeatNGram") return ban_repeated_ngrams(ids, scores, integer("ngram_size"));
  if (name == "NoBadWords")
    return ban_sequences(ids, scores, arguments.at("bad_words_ids").get<std::vector<TokenIds>>());
  if (name == "SuppressTokens") return ban_tokens(scores, arguments.at("suppress_tokens").get<TokenIds>());
  if (name == "Temperature") return apply_temperature(scores, number("temperature"));
  if (name == "TopK") return keep_top_k(scores, integer("top_k"));
  if (name == "TopP") return keep_top_p(scores, number("top_p"), least);
  if (name == "MinP") return keep_min_p(scores, number("min_p"), least);
  if (name == "Typical") return keep_typical(scores, number("mass"), least);
  throw std::invalid_argument(name);
}

TEST(LogitsProcessors, DoWhatThoseOfTransformersDo) {
  std::map<std::string, int> compared;
  for (const json& one : read_json(std::filesystem::path(WHENCE_TEST_DATA) / "generation/processors.json")) {
    const Tensor scores = scores_of(one.at("scores"));
    const auto name = one.at("processor").get<std::string>();
    apply(name, one.at("arguments"), one.at("ids").get<TokenIds>(), scores);
    EXPECT_TRUE(scores.equal(scores_of(one.at("expected")))) << one << "\nfound " << scores;
    ++compared[name];
  }
  EXPECT_EQ(compared.size(), 9u);
}

Tensor after(GenerationConfig config, const TokenIds& ids, std::int64_t prompt, std::int64_t limit) {
  ModelInfo model;
  model.vocabulary = 4;
  const GenerationConfig resolved = resolved_generation(config, model);
  const Tensor scores = at::tensor(std::vector<float>{1, 2, 3, 4}).log();
  LogitsProcessors(resolved, prompt, limit).apply(ids, scores);
  return scores.exp();
}

TEST(LogitsProcessors, ForceAndForbidTokensWhereTheOptionsSay) {
  const auto expect = [](const Tensor& found, const std::vector<float>& expected) {
    EXPECT_TRUE(at::allclose(found, at::tensor(expected))) << found;
  };
  const std::vector<float> all = {1, 2, 3, 4};
  GenerationConfig bos;
  bos.forced_bos_token_id = 2;
  expect(after(bos, {0}, 1, 9), {0, 0, 1, 0});
  expect(after(bos, {0, 2}, 1, 9), all);
  expect(after(bos, {0, 2}, 2, 9), all);
  GenerationConfig eos;
  eos.forced_eos_token_id = TokenIds{1, 3};
  expect(after(eos, {0, 2, 2}, 1, 4), {0, 1, 0, 1});
  expect(after(eos, {0, 2}, 1, 4), all);
  eos.forced_eos_token_id = TokenIds();
  expect(after(eos, {0, 2, 2}, 1, 4), all);
  GenerationConfig least;
  least.eos = TokenIds{0, 3};
  least.min_new_tokens = 2;
  expect(after(least, {1, 1, 1}, 2, 9), {0, 2, 3, 0});
  expect(after(least, {1, 1, 1, 1}, 2, 9), all);
  least.min_new_tokens = {};
  least.min_length = 4;
  expect(after(least, {1, 1, 1}, 2, 9), {0, 2, 3, 0});
  expect(after(least, {1, 1, 1, 1}, 2, 9), all);
  GenerationConfig begin;
  begin.begin_suppress_tokens = TokenIds{1};
  expect(after(begin, {0, 0}, 2, 9), {1, 0, 3, 4});
  expect(after(begin, {0, 0, 0}, 2, 9), all);
  begin.forced_bos_token_id = 1;
  expect(after(begin, {0}, 1, 9), {0, 1, 0, 0});
  expect(after(begin, {0, 1}, 1, 9), {1, 0, 3, 4});
  GenerationConfig normal;
  normal.renormalize_logits = true;
  normal.suppress_tokens = TokenIds{3};
  expect(after(normal, {0}, 1, 9), {1.0F / 6, 2.0F / 6, 3.0F / 6, 0});
}

TEST(LogitsProcessors, LetATextEndThoughItsEosIsABadWord) {
  GenerationConfig config;
  config.eos = TokenIds{3};
  config.bad_words_ids = std::vector<TokenIds>{{3}, {2}, {0, 3}};
  EXPECT_TRUE(at::allclose(after(config, {1}, 1, 9), at::tensor(std::vector<float>{1, 2, 0, 4})));
  EXPECT_TRUE(at::allclose(after(config, {0}, 1, 9), at::tensor(std::vector<float>{1, 2, 0, 0})));
}

/// Shares of 20000 draws differ from the exact probabilities of what the options leave by less than this: four standard
/// deviations of a share of one half.
constexpr double kDeviation = 0.0142;

struct Sampling {
  const char* name;
  void (*set)(GenerationConfig&);
};

class SampledShares : public ::testing::TestWithParam<Sampling> {};

TEST_P(SampledShares, AreTheFilteredProbabilities) {
  GenerationConfig config;
  config.do_sample = true;
  config.top_k = 0;
  GetParam().set(config);
  ModelInfo model;
  model.vocabulary = 8;
  const Tensor logits = at::tensor(std::vector<float>{0.3F, 1.9F, -1.2F, 0.8F, 2.1F, 0, -0.4F, 1.1F});
  const Tensor scores = logits.clone();
  LogitsProcessors(resolved_generation(config, model), 1, 9).apply({1}, scores);
  ASSERT_FALSE(scores.equal(logits));
  const Tensor exact = at::softmax(scores.to(at::kDouble), 0);
  constexpr std::int64_t kDraws = 20000;
  const Sampler sampler(7, std::string("a text"));
  const Tensor shares = at::zeros({8}, at::kDouble);
  for (std::int64_t step = 0; step < kDraws; ++step)
    shares[sampler.draw(scores, 1, step)[0].item<std::int64_t>()] += 1.0 / kDraws;
  EXPECT_LT((shares - exact).abs().max().item<double>(), kDeviation) << shares << exact;
  EXPECT_TRUE(shares.masked_select(exact == 0).eq(0).all().item<bool>());
}

INSTANTIATE_TEST_SUITE_P(Options, SampledShares,
                         ::testing::Values(Sampling{"temperature", [](auto& c) { c.temperature = 0.6; }},
                                           Sampling{"top_k", [](auto& c) { c.top_k = 3; }},
                                           Sampling{"top_p", [](auto& c) { c.top_p = 0.7; }},
                                           Sampling{"min_p", [](auto& c) { c.min_p = 0.25; }},
                                           Sampling{"typical_p", [](auto& c) { c.typical_p = 0.6; }},
                                           Sampling{"all",
                                                    [](auto& c) {
                                                      c.temperature = 1.7;
                                                      c.top_k = 7;
                                                      c.top_p = 0.9;
                                                      c.min_p = 0.1;
                                                      c.typical_p = 0.9;
                                                    }}),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(Sampler, DrawsWithoutReplacement) {
  // The second of two draws has the probabilities that are left once the first is gone.
  const Tensor weights = at::tensor(std::vector<float>{1, 2, 3, 4}).log();
  const Sampler sampler(3, TokenIds{5});
  constexpr std::int64_t kDraws = 20000;
  const Tensor shares = at::zeros({4, 4}, at::kDouble), exact = at::zeros({4, 4}, at::kDouble);
  for (std::int64_t step = 0; step < kDraws; ++step) {
    const Tensor pair = sampler.draw(weights, 2, step);
    shares[pair[0].item<std::int64_t>()][pair[1].item<std::int64_t>()] += 1.0 / kDraws;
  }
  for (int first = 0; first < 4; ++first)
    for (int second = 0; second < 4; ++second)
      if (first != second) exact[first][second] = (first + 1) / 10.0 * (second + 1) / (10.0 - (first + 1));
  EXPECT_LT((shares - exact).abs().max().item<double>(), kDeviation) << shares << exact;
}

TEST(Sampler, DependsOnSeedSequenceAndStepAlone) {
  const Tensor weights = at::zeros({1000});
  const auto draw = [&](std::uint64_t seed, const std::string& id, std::int64_t step) {
    return Sampler(seed, id).draw(weights, 1, step)[0].item<std::int64_t>();
  };
  EXPECT_EQ(draw(1, "a", 0), draw(1, "a", 0));
  EXPECT_NE(draw(1, "a", 0), draw(2, "a", 0));
  EXPECT_NE(draw(1, "a", 0), draw(1, "b", 0));
  EXPECT_NE(draw(1, "a", 0), draw(1, "a", 1));
}

}  // namespace
}  // namespace whence::transformer
