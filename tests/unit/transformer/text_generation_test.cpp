#include "text_generation.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <fstream>

#include "checkpoints.h"
#include "support/temporary_folder.h"
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
  config.top_k = 0;
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

TEST(Sampling, IsKeyedByTheIdsOfTheSequences) {
  const auto model = load_model(own_model("qwen3"));
  const std::vector<TokenIds> twice = {kPrompts[0], kPrompts[0]};
  GenerationConfig config = sampled(5);
  config.sequence_ids = {"a", "b"};
  const auto named = generate(*model, twice, config);
  EXPECT_NE(named[0], named[1]);
  config.sequence_ids = {"b", "a"};
  EXPECT_EQ(generate(*model, twice, config), (std::vector<TokenIds>{named[1], named[0]}));
  config.sequence_ids = {"b"};
  EXPECT_EQ(generate(*model, {kPrompts[0]}, config)[0], named[1]);
  EXPECT_EQ(testing::text_of_error<ConfigError>([&] { generate(*model, twice, config); }),
            "sequence_ids: expected one for each of the 2 prompts, found 1");
}

TEST(Sampling, DoesNotDependOnThreads) {
  const auto model = load_model(case_model("llama"));
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const auto one = generate(*model, kPrompts, sampled(5));
  at::set_num_threads(3);
  EXPECT_EQ(generate(*model, kPrompts, sampled(5)), one);
  at::set_num_threads(threads);
}

TEST(Sampling, OfBeamsDependsOnSeedAndTextAlone) {
  const auto model = load_model(own_model("qwen3"));
  GenerationConfig config = sampled(5);
  config.num_beams = 3;
  const auto together = generate(*model, kPrompts, config);
  for (std::size_t i = 0; i < kPrompts.size(); ++i) EXPECT_EQ(generate(*model, {kPrompts[i]}, config)[0], together[i]);
  config.seed = 6;
  EXPECT_NE(generate(*model, kPrompts, config), together);
  // Hardly any noise: the beams of the likeliest tokens.
  config.temperature = 1e-4;
  GenerationConfig plain = config;
  plain.do_sample = false;
  plain.temperature = plain.top_k = {};
  plain.num_beams = 1;
  config.num_beams = 1;
  EXPECT_EQ(generate(*model, kPrompts, config), generate(*model, kPrompts, plain));
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

/// A checkpoint whose target side has the same tokens under other ids.
TEST(Generation, ReadsStopsAndBadWordsInTheVocabularyOfTheTarget) {
  const testing::TemporaryFolder made;
  const auto& folder = made.path();
  std::filesystem::copy(case_model("marian"), folder);
  auto config = read_json(folder / "tokenizer_config.json");
  config["separate_vocabs"] = true;
  std::ofstream(folder / "tokenizer_config.json") << config;
  auto vocabulary = read_json(folder / "vocab.json");
  for (auto& [token, id] : vocabulary.items())
    if (id >= 2 && id <= 202) id = 204 - id.get<int>();
  std::ofstream(folder / "target_vocab.json") << vocabulary;

  const auto model = load_model(folder);
  const Tokenizer &of_source = model->tokenizer(), &of_target = of_source.on(Side::target);
  const Inputs inputs{pad({{203}}), pad({of_source.encode("the day").ids})};
  GenerationConfig options;
  options.max_new_tokens = 12;
  options.eos = TokenIds{};
  const TokenIds whole = model->generate(inputs, options).ids[0];
  // A token whose text only the target's vocabulary gives.
  const auto text_of = [&](const Tokenizer& tokenizer, std::size_t count) {
    return tokenizer.decode({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(count)}, false);
  };
  const std::string stop = of_target.decode({whole[3]}, false);
  ASSERT_FALSE(stop.empty());
  ASSERT_EQ(text_of(of_source, whole.size()).find(stop), std::string::npos);
  std::size_t expected = 1;
  while (text_of(of_target, expected).find(stop) == std::string::npos) ++expected;
  options.stop = {stop};
  const Generation stopped = model->generate(inputs, options);
  EXPECT_EQ(stopped.ids[0], TokenIds(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(expected)));
  EXPECT_EQ(stopped.reasons[0], StopReason::stop_text);

  options.stop.reset();
  options.bad_words = {stop};
  const TokenIds banned = of_target.encode(stop, {.add_special_tokens = false}).ids;
  const TokenIds without = model->generate(inputs, options).ids[0];
  EXPECT_EQ(std::search(without.begin(), without.end(), banned.begin(), banned.end()), without.end());
}

TEST(Generation, EndsABeamThatHoldsAStop) {
  const auto model = load_model(own_model("mistral_window"));
  GenerationConfig config;
  config.max_new_tokens = 10;
  config.num_beams = 3;
  config.early_stopping = EarlyStopping::yes;
  config.eos = TokenIds{};
  const TokenIds whole = generate(*model, {kPrompts[0]}, config)[0];
  config.stop = {*model->tokenizer().token(whole[2])};
  const Generation ended = model->generate({pad({kPrompts[0]})}, config);
  EXPECT_EQ(ended.reasons[0], StopReason::stop_text);
  EXPECT_LT(ended.ids[0].size(), 10u);
  EXPECT_NE(model->tokenizer().decode({ended.ids[0].back()}, false).find(config.stop->front()), std::string::npos);
}

TEST(Generation, NeverMakesABadWord) {
  const auto model = load_model(case_model("llama"));
  const auto words_of = [&](const std::string& text) { return model->tokenizer().encode(text, {false}).ids; };
  const TokenIds prompt = model->tokenizer().encode("It was a").ids;
  GenerationConfig config;
  config.max_new_tokens = 15;
  const TokenIds plain = generate(*model, {prompt}, config)[0];
  // A token that is a word of its own.
  const auto whole = std::find_if(plain.begin(), plain.end(), [&](std::int64_t id) {
    return words_of(model->tokenizer().decode({id}, true)) == TokenIds{id};
  });
  ASSERT_NE(whole, plain.end());
  const std::string word = model->tokenizer().decode({*whole}, true);
  config.bad_words = {word};
  const TokenIds without = generate(*model, {prompt}, config)[0];
  EXPECT_NE(without, plain);
  for (const std::string& text : {word, " " + word}) {
    const TokenIds ids = words_of(text);
    EXPECT_EQ(std::search(without.begin(), without.end(), ids.begin(), ids.end()), without.end()) << text;
  }
}

TEST(Generation, CountsNewTokensOfAllTexts) {
  const auto model = load_model(own_model("qwen3"));
  GenerationConfig config;
  config.max_new_tokens = 4;
  config.eos = TokenIds{};
  std::vector<std::int64_t> made;
  model->generate({pad(kPrompts)}, config, [&](std::int64_t count) { made.push_back(count); });
  EXPECT_EQ(made, (std::vector<std::int64_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}));
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
  EXPECT_EQ(error({{1}}, [](auto& c) { c.max_new_tokens = -1; }), "'max_new_tokens' is -1; expected at least 1");
  EXPECT_EQ(error({{1}}, [](auto& c) { c.suppress_tokens = TokenIds{1, 64}; }),
            "'suppress_tokens' of the generation: 64 is no token id of model 'qwen3'; expected 0 to 63");
  EXPECT_EQ(error({{1}},
                  [](auto& c) {
                    c.forced_bos_token_id = 3;
                    c.begin_suppress_tokens = TokenIds{};
                    c.suppress_tokens = TokenIds{3};
                  }),
            "the generation options leave no token that may come after 0 new tokens; ban or force fewer tokens");
  EXPECT_EQ(error({{1}},
                  [](auto& c) {
                    c.num_beams = 3;
                    c.forced_bos_token_id = 3;
                    c.suppress_tokens = TokenIds{3};
                  }),
            "the generation options leave no token that may come after 0 new tokens; ban or force fewer tokens");
}

}  // namespace
}  // namespace whence::transformer
