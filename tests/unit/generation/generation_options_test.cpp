#include "whence/generation_options.h"

#include <gtest/gtest.h>

#include "host/yaml.h"
#include "support/text_of_error.h"

namespace whence {
namespace {

GenerationConfig read(const std::string& text) { return read_generation_options(host::parse_yaml(text, "g.yaml")); }

std::string error_of(const std::string& text) {
  return testing::text_of_error<ConfigError>([&] { read(text); });
}

ModelInfo model() {
  ModelInfo info;
  info.name = "m";
  info.vocabulary = 100;
  info.max_positions = 64;
  info.eos = {2};
  return info;
}

TEST(GenerationOptions, AreReadAndWrittenUnderTheirNames) {
  const std::string all =
      "max_new_tokens: 3\nmin_new_tokens: 1\neos_token_id: [1, 2]\nstop_strings: [end]\nnum_beams: 4\n"
      "length_penalty: -0.5\nearly_stopping: never\ndo_sample: true\ntemperature: 0.5\ntop_k: 4\ntop_p: 0.9\n"
      "min_p: 0.1\ntypical_p: 0.8\nrepetition_penalty: 1.2\nno_repeat_ngram_size: 3\nbad_words_ids:\n  - [5, 6]\n"
      "bad_words: [no]\nsuppress_tokens: [9]\nbegin_suppress_tokens: [8]\nforced_bos_token_id: 7\n"
      "forced_eos_token_id: [2]\nrenormalize_logits: true\nseed: 11\n";
  const GenerationConfig config = read(all);
  EXPECT_EQ(config.eos, (TokenIds{1, 2}));
  EXPECT_EQ(config.early_stopping, EarlyStopping::never);
  EXPECT_EQ(config.bad_words_ids, (std::vector<TokenIds>{{5, 6}}));
  EXPECT_EQ(config.seed, 11u);
  EXPECT_EQ(host::to_yaml(generation_options(config)), all);
  std::vector<std::string> unread;
  for (const std::string& name : generation_option_names())
    if (!generation_options(config).find(name)) unread.push_back(name);
  EXPECT_EQ(unread, (std::vector<std::string>{"max_length", "min_length"}));
  EXPECT_EQ(read("{max_length: 9, min_length: 4}").max_length, 9);
}

TEST(GenerationOptions, TakeOneForAListAndNullForAbsent) {
  const GenerationConfig config = read("{eos_token_id: 4, stop_strings: end, early_stopping: false, top_k: null}");
  EXPECT_EQ(config.eos, TokenIds{4});
  EXPECT_EQ(config.stop, std::vector<std::string>{"end"});
  EXPECT_EQ(config.early_stopping, EarlyStopping::no);
  EXPECT_FALSE(config.top_k);
}

TEST(GenerationOptions, RefuseOtherNames) {
  const std::string text = error_of("{num_beans: 4}");
  EXPECT_TRUE(text.starts_with("g.yaml:1:2: unknown key 'num_beans'; did you mean 'num_beams'? known: bad_words, "))
      << text;
}

TEST(GenerationOptions, RefuseOtherTypes) {
  EXPECT_EQ(error_of("{num_beams: two}"), "g.yaml:1:13: expected an integer, found text 'two'");
  EXPECT_EQ(error_of("{early_stopping: maybe}"), "g.yaml:1:18: expected true, false or 'never', found 'maybe'");
  EXPECT_EQ(error_of("{early_stopping: 3}"), "g.yaml:1:18: expected true, false or 'never', found integer");
  EXPECT_EQ(error_of("{bad_words_ids: [3]}"), "g.yaml:1:18: expected a list, found integer");
}

TEST(GenerationOptions, RefuseValuesOutOfRange) {
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"max_new_tokens: 0", "at least 1"},
      {"max_new_tokens: 3000000000", "at least 1"},
      {"max_length: 0", "at least 1"},
      {"min_new_tokens: -1", "at least 0"},
      {"min_length: -1", "at least 0"},
      {"eos_token_id: -1", "token ids, which are at least 0"},
      {"num_beams: 0", "1 to 1024"},
      {"num_beams: 1025", "1 to 1024"},
      {"length_penalty: .inf", "a finite number"},
      {"temperature: 0", "a number above 0"},
      {"temperature: .nan", "a number above 0"},
      {"top_k: -2", "at least 0"},
      {"top_p: 1.5", "a number above 0 and at most 1"},
      {"top_p: 0", "a number above 0 and at most 1"},
      {"min_p: -0.5", "a number from 0 to 1"},
      {"typical_p: 0", "a number above 0 and at most 1"},
      {"repetition_penalty: 0", "a number above 0"},
      {"no_repeat_ngram_size: -1", "at least 0"},
      {"bad_words_ids: [[3, -1]]", "token ids, which are at least 0"},
      {"bad_words_ids: [[]]", "lists of token ids"},
      {"bad_words: ''", "text that is not empty"},
      {"stop_strings: ['']", "text that is not empty"},
      {"suppress_tokens: -1", "token ids, which are at least 0"},
      {"begin_suppress_tokens: -1", "token ids, which are at least 0"},
      {"forced_bos_token_id: -1", "a token id, which is at least 0"},
      {"forced_eos_token_id: -1", "token ids, which are at least 0"},
      {"seed: -1", "at least 0"},
  };
  for (const auto& [option, expected] : wrong) {
    const std::string text = error_of(option);
    EXPECT_TRUE(text.starts_with("g.yaml:1:")) << text;
    EXPECT_NE(text.find("'" + option.substr(0, option.find(':')) + "' is "), std::string::npos) << text;
    EXPECT_TRUE(text.ends_with("; expected " + expected)) << text;
  }
  EXPECT_EQ(error_of("{top_p: 1.5}"), "g.yaml:1:9: 'top_p' is 1.5; expected a number above 0 and at most 1");
}

std::string resolving_error(const std::string& options, const ModelInfo& info = model()) {
  return testing::text_of_error<ConfigError>([&] { resolved_generation(read(options), info); });
}

TEST(GenerationOptions, RefuseWhatWouldHaveNoEffect) {
  EXPECT_EQ(resolving_error("{temperature: 0.5}"),
            "'temperature' of the generation is 0.5, which has no effect without do_sample; set do_sample to true, or "
            "leave it out");
  for (const char* option : {"top_k: 4", "top_p: 0.5", "min_p: 0.1", "typical_p: 0.5"})
    EXPECT_NE(resolving_error(option).find("has no effect without do_sample"), std::string::npos) << option;
  EXPECT_EQ(resolving_error("{early_stopping: never}"),
            "'early_stopping' of the generation is 'never', which has no effect without beams; set num_beams to 2 or "
            "more, or leave it out");
  EXPECT_NE(resolving_error("{length_penalty: 2}").find("has no effect without beams"), std::string::npos);
  // What does nothing anyway may be said.
  EXPECT_EQ(resolving_error("{temperature: 1, top_k: 50, top_p: 1, length_penalty: 1, early_stopping: false}"),
            "nothing was thrown");
  // Another's options are those of the checkpoint, which may be made for sampling.
  ModelInfo sampling = model();
  sampling.generation = read("{do_sample: true, temperature: 0.7}");
  EXPECT_EQ(resolving_error("{top_p: 0.5}", sampling), "nothing was thrown");
  EXPECT_EQ(resolving_error("{do_sample: false}", sampling), "nothing was thrown");
}

TEST(GenerationOptions, RefuseContradictions) {
  EXPECT_EQ(resolving_error("{max_length: 3, max_new_tokens: 3}"),
            "'max_length' of the generation: 'max_new_tokens' is given, too; give one of the two");
  EXPECT_EQ(resolving_error("{min_length: 3, min_new_tokens: 3}"),
            "'min_length' of the generation: 'min_new_tokens' is given, too; give one of the two");
  EXPECT_EQ(resolving_error("{min_new_tokens: 5, max_new_tokens: 3}"),
            "'min_new_tokens' of the generation is 5; expected at most the 3 of 'max_new_tokens'");
  EXPECT_EQ(resolving_error("{min_length: 5, max_length: 3}"),
            "'min_length' of the generation is 5; expected at most the 3 of 'max_length'");
}

TEST(GenerationOptions, RefuseIdsOutsideTheVocabulary) {
  EXPECT_EQ(resolving_error("{eos_token_id: 100}"),
            "'eos_token_id' of the generation: 100 is no token id of model 'm'; expected 0 to 99");
  for (const char* option : {"bad_words_ids: [[4], [3, 100]]", "suppress_tokens: 100", "begin_suppress_tokens: 100",
                             "forced_bos_token_id: 100", "forced_eos_token_id: [1, 100]"})
    EXPECT_NE(resolving_error(option).find(" of the generation: 100 is no token id"), std::string::npos) << option;
}

TEST(GenerationOptions, OfACheckpointMayNotLeaveTheVocabularyEither) {
  ModelInfo info = model();
  info.eos = {2, 100};
  EXPECT_EQ(resolved_generation({}, info).eos, TokenIds{2});
  info.generation = read("{bad_words_ids: [[100]]}");
  EXPECT_EQ(testing::text_of_error<ModelError>([&] { resolved_generation({}, info); }),
            "'bad_words_ids' of the generation: 100 is no token id of model 'm'; expected 0 to 99, yet its checkpoint "
            "says so; correct it or give the option");
  EXPECT_EQ(resolved_generation(read("{bad_words_ids: []}"), info).bad_words_ids, std::vector<TokenIds>{});
}

TEST(GenerationOptions, AreCheckedWithoutAFile) {
  GenerationConfig config;
  config.do_sample = true;
  config.temperature = 0;
  EXPECT_EQ(testing::text_of_error<ConfigError>([&] { resolved_generation(config, model()); }),
            "'temperature' is 0; expected a number above 0");
}

TEST(GenerationOptions, GoBeforeThoseOfTheCheckpoint) {
  ModelInfo info = model();
  const GenerationConfig plain = resolved_generation({}, info);
  EXPECT_EQ(plain.max_new_tokens, 20);
  EXPECT_EQ(plain.eos, TokenIds{2});
  EXPECT_EQ(plain.num_beams, 1);
  EXPECT_EQ(plain.do_sample, false);
  EXPECT_EQ(plain.top_k, 50);

  info.generation = read("{max_length: 30, min_length: 4, num_beams: 4, length_penalty: 2, bad_words_ids: [[3]]}");
  const GenerationConfig own = resolved_generation(read("{length_penalty: 0.5}"), info);
  EXPECT_EQ(own.num_beams, 4);
  EXPECT_EQ(own.length_penalty, 0.5);
  EXPECT_EQ(own.bad_words_ids, (std::vector<TokenIds>{{3}}));
  EXPECT_EQ(most_tokens(own, info, 10), 30);
  // Either length option takes the place of both.
  const GenerationConfig longer = resolved_generation(read("{max_new_tokens: 25, min_new_tokens: 1}"), info);
  EXPECT_EQ(most_tokens(longer, info, 10), 35);
  EXPECT_FALSE(longer.min_length);
  // The model has no more room than this.
  EXPECT_EQ(most_tokens(longer, info, 60), 64);
}

}  // namespace
}  // namespace whence
