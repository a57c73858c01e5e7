#include "checkpoint_tokenizer.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "reference_strings.h"
#include "support/temporary_folder.h"
#include "support/text_of_error.h"
#include "whence/error.h"

namespace whence {
namespace {

namespace fs = std::filesystem;

fs::path model_directory(const std::string& name) { return fs::path(WHENCE_TEST_DATA "/cases/models") / name; }

/// A copy of a model's tokenizer files that a test may change.
class CopiedModel {
 public:
  explicit CopiedModel(const std::string& name) {
    for (const auto& entry : fs::directory_iterator(model_directory(name))) {
      if (entry.path().extension() == ".json") fs::copy(entry.path(), path());
    }
  }

  const fs::path& path() const { return folder_.path(); }
  void remove(const std::string& file) const { fs::remove(path() / file); }
  void write(const std::string& file, const std::string& text) const { folder_.write(file, text); }
  void patch(const std::string& file, const nlohmann::json& changes) const {
    auto json = read(file);
    json.merge_patch(changes);
    write(file, json.dump());
  }
  nlohmann::json read(const std::string& file) const {
    std::ifstream stream(path() / file);
    return nlohmann::json::parse(stream);
  }

 private:
  testing::TemporaryFolder folder_;
};

class ReferenceModels : public ::testing::TestWithParam<const char*> {};

TEST_P(ReferenceModels, AgreesOnEveryString) {
  const std::string name = GetParam();
  const auto tokenizer = tokenizer_from_directory(model_directory(name));
  expect_agreement(*tokenizer, ReferenceStrings::get().tokenizers.at("models/" + name));
}

INSTANTIATE_TEST_SUITE_P(All, ReferenceModels,
                         ::testing::Values("bart", "gemma2", "gpt2", "gpt_neox", "llama", "marian", "marian_scaled",
                                           "qwen2", "t5"),
                         [](const auto& info) { return info.param; });

TEST(CheckpointTokenizer, KnowsTheSpecialTokens) {
  const auto llama = tokenizer_from_directory(model_directory("llama"));
  EXPECT_EQ(llama->special_ids().bos, 1);
  EXPECT_EQ(llama->special_ids().eos, 2);
  EXPECT_EQ(llama->special_ids().unknown, 0);
  EXPECT_EQ(llama->special_ids().pad, std::nullopt);
  EXPECT_EQ(llama->all_special_ids(), (TokenIds{0, 1, 2}));

  const auto qwen = tokenizer_from_directory(model_directory("qwen2"));
  EXPECT_EQ(qwen->special_ids().bos, std::nullopt) << "bos_token is null in tokenizer_config.json";
  EXPECT_EQ(qwen->special_ids().eos, 381);
  EXPECT_EQ(qwen->special_ids().pad, 381);
  EXPECT_EQ(qwen->all_special_ids(), (TokenIds{381, 382, 383}));
}

TEST(CheckpointTokenizer, MarksOnlyTheTokensItAddedItself) {
  const auto tokenizer = tokenizer_from_directory(model_directory("llama"));
  const auto encoding = tokenizer->encode("a</s>b");
  ASSERT_EQ(encoding.ids.front(), 1);
  ASSERT_TRUE(encoding.special.front());
  const auto eos = std::find(encoding.ids.begin(), encoding.ids.end(), 2) - encoding.ids.begin();
  ASSERT_LT(eos, static_cast<std::ptrdiff_t>(encoding.ids.size()));
  EXPECT_FALSE(encoding.special[eos]);
  EXPECT_EQ(encoding.offsets[eos], (Span{1, 5}));
}

TEST(CheckpointTokenizer, OffsetsAreTheCharactersOfEachToken) {
  expect_exact_offsets(*tokenizer_from_directory(model_directory("gpt2")));
}

TEST(CheckpointTokenizer, PartsOfOneCharacterShareItsOffsets) {
  const auto tokenizer = tokenizer_from_directory(model_directory("gpt2"));
  const auto encoding = tokenizer->encode("a\xF0\x9F\x91\x8D");
  ASSERT_GT(encoding.ids.size(), 2u);
  for (std::size_t i = 1; i < encoding.ids.size(); ++i) EXPECT_EQ(encoding.offsets[i], (Span{1, 2}));
}

TEST(CheckpointTokenizer, FindsTokensAndIds) {
  const auto tokenizer = tokenizer_from_directory(model_directory("gpt2"));
  EXPECT_EQ(tokenizer->token(383), "<|endoftext|>");
  EXPECT_EQ(tokenizer->id("<|endoftext|>"), 383);
  EXPECT_EQ(tokenizer->token(384), std::nullopt);
  EXPECT_EQ(tokenizer->token(-1), std::nullopt);
  EXPECT_EQ(tokenizer->token(std::int64_t{1} << 40), std::nullopt);
  EXPECT_EQ(tokenizer->id("no such token"), std::nullopt);
  EXPECT_EQ(tokenizer->id("\xFF"), std::nullopt);
}

TEST(CheckpointTokenizer, RefusesWhatIsNoTextOrNoId) {
  const auto tokenizer = tokenizer_from_directory(model_directory("gpt2"));
  EXPECT_EQ(testing::text_of_error<InputError>([&] { tokenizer->encode("ab\xFFz"); }),
            "text: byte 2 is not valid UTF-8; convert the text to UTF-8");
  EXPECT_EQ(testing::text_of_error<InputError>([&] { tokenizer->encode("a\xED\xA0\x80"); }),
            "text: byte 1 is not valid UTF-8; convert the text to UTF-8");
  EXPECT_EQ(testing::text_of_error<InputError>([&] { tokenizer->decode({0, 384}, false); }),
            "ids: token id 384 is not in the vocabulary");
  EXPECT_EQ(testing::text_of_error<InputError>([&] { tokenizer->decode({-1}, false); }),
            "ids: token id -1 is not in the vocabulary");
  EXPECT_EQ(testing::text_of_error<InputError>([&] { tokenizer->decode({std::int64_t{1} << 32}, true); }),
            "ids: token id 4294967296 is not in the vocabulary");
  EXPECT_EQ(tokenizer->decode({}, false), "");
}

TEST(CheckpointTokenizer, EncodesABatchInOrder) {
  const auto tokenizer = tokenizer_from_directory(model_directory("llama"));
  const auto batch = tokenizer->encode_batch({"one", "", "three four"});
  ASSERT_EQ(batch.size(), 3u);
  EXPECT_EQ(batch[0].ids, tokenizer->encode("one").ids);
  EXPECT_EQ(batch[1].ids, TokenIds{1});
  EXPECT_EQ(batch[2].ids, tokenizer->encode("three four").ids);
}

TEST(CheckpointTokenizer, TwoThreadsShareOne) {
  const auto tokenizer = tokenizer_from_directory(model_directory("qwen2"));
  const auto& reference = ReferenceStrings::get().tokenizers.at("models/qwen2");
  const auto& strings = ReferenceStrings::get().strings;
  std::vector<int> differences(2, 0);
  const auto work = [&](int thread) {
    for (int round = 0; round < 20; ++round) {
      for (std::size_t i = 0; i < strings.size(); ++i) {
        differences[thread] += tokenizer->encode(strings[i]).ids != reference.ids[i];
        differences[thread] += tokenizer->decode(reference.ids[i], true) != reference.decoded[i];
      }
    }
  };
  std::thread first(work, 0), second(work, 1);
  first.join();
  second.join();
  EXPECT_EQ(differences, (std::vector<int>{0, 0}));
}

TEST(CheckpointTokenizer, NeitherTruncatesNorPads) {
  const CopiedModel model("gpt2");
  model.patch("tokenizer.json",
              {{"truncation", {{"direction", "Right"}, {"max_length", 2}, {"strategy", "LongestFirst"}, {"stride", 0}}},
               {"padding",
                {{"strategy", {{"Fixed", 64}}},
                 {"direction", "Right"},
                 {"pad_to_multiple_of", nullptr},
                 {"pad_id", 0},
                 {"pad_type_id", 0},
                 {"pad_token", "!"}}}});
  const auto tokenizer = tokenizer_from_directory(model.path());
  expect_agreement(*tokenizer, ReferenceStrings::get().tokenizers.at("models/gpt2"));
}

TEST(CheckpointTokenizer, ConfigDecidesOnBosAndEosOfLlama) {
  const CopiedModel model("llama");
  const auto plain = tokenizer_from_directory(model.path())->encode("hello", {.add_special_tokens = false}).ids;
  auto framed = plain;
  framed.push_back(2);
  model.patch("tokenizer_config.json", {{"add_bos_token", false}, {"add_eos_token", true}});
  EXPECT_EQ(tokenizer_from_directory(model.path())->encode("hello").ids, framed);
  framed.insert(framed.begin(), 1);
  model.patch("tokenizer_config.json", {{"add_bos_token", true}});
  EXPECT_EQ(tokenizer_from_directory(model.path())->encode("hello").ids, framed);
  model.patch("tokenizer_config.json", {{"add_bos_token", false}, {"add_eos_token", false}});
  EXPECT_EQ(tokenizer_from_directory(model.path())->encode("hello").ids, plain);
}

TEST(CheckpointTokenizer, ReportsAFrameWithoutItsToken) {
  const CopiedModel model("llama");
  auto config = model.read("tokenizer_config.json");
  config["bos_token"] = nullptr;
  model.write("tokenizer_config.json", config.dump());
  EXPECT_EQ(testing::text_of_error<ModelError>([&] { tokenizer_from_directory(model.path()); }),
            (model.path() / "tokenizer_config.json").string() +
                ": add_bos_token is true but there is no bos_token; name one or set add_bos_token to false");
}

TEST(CheckpointTokenizer, AddsTheTokensOfTheConfig) {
  const CopiedModel model("llama");
  const auto base = tokenizer_from_directory(model.path());
  std::int64_t size = 0;
  while (base->token(size)) ++size;
  model.patch("tokenizer_config.json",
              {{"added_tokens_decoder",
                {{std::to_string(size), {{"content", "<|turn|>"}, {"special", true}}},
                 {std::to_string(size + 1), {{"content", "<|plain|>"}, {"special", false}, {"normalized", false}}}}}});
  const auto tokenizer = tokenizer_from_directory(model.path());
  EXPECT_EQ(tokenizer->id("<|turn|>"), size);
  EXPECT_EQ(tokenizer->id("<|plain|>"), size + 1);
  EXPECT_EQ(tokenizer->all_special_ids(), (TokenIds{0, 1, 2, size}));
  const auto ids = tokenizer->encode("<|turn|>a<|plain|>", {.add_special_tokens = false}).ids;
  EXPECT_EQ(ids.front(), size);
  EXPECT_EQ(ids.back(), size + 1);
  EXPECT_EQ(tokenizer->decode(ids, true), "a<|plain|>");
}

TEST(CheckpointTokenizer, NormalisedAddedTokensKeepTheirText) {
  const CopiedModel model("llama");
  model.patch("tokenizer_config.json",
              {{"added_tokens_decoder",
                {{"900", {{"content", "<|turn|>"}, {"special", true}, {"normalized", true}}},
                 {"901", {{"content", "<|plain|>"}, {"special", false}, {"normalized", true}}}}}});
  const auto tokenizer = tokenizer_from_directory(model.path());
  const auto turn = tokenizer->id("<|turn|>").value(), plain = tokenizer->id("<|plain|>").value();
  EXPECT_EQ(tokenizer->token(turn), "<|turn|>");
  const auto encoding = tokenizer->encode("a <|turn|> <|plain|>");
  EXPECT_EQ(encoding.ids.back(), plain);
  EXPECT_EQ(encoding.tokens.back(), "<|plain|>");
  EXPECT_EQ(tokenizer->decode({turn, plain}, true), "<|plain|>");
  EXPECT_EQ(tokenizer->decode({turn, plain}, false), "<|turn|><|plain|>");
}

TEST(CheckpointTokenizer, OldFilesNameTheSpecialTokens) {
  const CopiedModel model("llama");
  auto config = model.read("tokenizer_config.json");
  config.erase("added_tokens_decoder");
  config["eos_token"] = "<unk>";
  model.write("tokenizer_config.json", config.dump());
  model.write("special_tokens_map.json", R"({"eos_token": "</s>", "pad_token": {"content": "[PAD]"}})");
  const auto tokenizer = tokenizer_from_directory(model.path());
  EXPECT_EQ(tokenizer->special_ids().eos, 2);
  EXPECT_EQ(tokenizer->special_ids().pad, tokenizer->id("[PAD]"));
  ASSERT_TRUE(tokenizer->special_ids().pad.has_value());
  EXPECT_EQ(tokenizer->all_special_ids(), (TokenIds{0, 1, 2, *tokenizer->special_ids().pad}));
}

TEST(CheckpointTokenizer, TakesIdsFromTheModelConfigWithoutTokenizerConfig) {
  const CopiedModel model("gemma2");
  model.remove("tokenizer_config.json");
  model.remove("special_tokens_map.json");
  model.write("config.json", R"({"model_type": "unheard_of", "bos_token_id": 2, "eos_token_id": [1, 3]})");
  model.write("generation_config.json", R"({"pad_token_id": 0, "bos_token_id": 99999999})");
  const auto tokenizer = tokenizer_from_directory(model.path());
  EXPECT_EQ(tokenizer->special_ids().bos, std::nullopt) << "an id outside the vocabulary";
  EXPECT_EQ(tokenizer->special_ids().eos, 1);
  EXPECT_EQ(tokenizer->special_ids().pad, 0);
}

TEST(CheckpointTokenizer, ReportsAMissingTokenizer) {
  const testing::TemporaryFolder folder;
  folder.write("config.json", R"({"model_type": "gpt_neox"})");
  EXPECT_EQ(testing::text_of_error<ModelError>([&] { tokenizer_from_directory(folder.path()); }),
            folder.path().string() +
                ": tokenizer.json is missing, and for a GPTNeoXTokenizer no other files are read; fetch it with the "
                "checkpoint, or save it with save_pretrained of a fast tokenizer of transformers");
}

TEST(CheckpointTokenizer, ReportsBrokenFiles) {
  const CopiedModel model("gpt2");
  const auto path = [&](const char* file) { return (model.path() / file).string(); };
  model.remove("special_tokens_map.json");
  model.write("tokenizer_config.json", R"({"eos_token": )");
  EXPECT_EQ(testing::text_of_error<ModelError>([&] { tokenizer_from_directory(model.path()); }),
            path("tokenizer_config.json") + ": broken JSON at byte 15; fetch the file again");
  model.write("tokenizer_config.json", "[]");
  EXPECT_EQ(testing::text_of_error<ModelError>([&] { tokenizer_from_directory(model.path()); }),
            path("tokenizer_config.json") + ": expected an object, found array; fetch the file again");
  model.write("tokenizer_config.json", R"({"eos_token": 3})");
  EXPECT_EQ(
      testing::text_of_error<ModelError>([&] { tokenizer_from_directory(model.path()); }),
      path("tokenizer_config.json") + ": eos_token: expected a token (text, or an object with content), found number");
  model.write("tokenizer_config.json", R"({"added_tokens_decoder": {"x": "a"}})");
  EXPECT_EQ(testing::text_of_error<ModelError>([&] { tokenizer_from_directory(model.path()); }),
            path("tokenizer_config.json") + ": added_tokens_decoder.x: expected a token id as the key");
  model.write("tokenizer_config.json", R"({"tokenizer_class": 5})");
  EXPECT_EQ(testing::text_of_error<ModelError>([&] { tokenizer_from_directory(model.path()); }),
            path("tokenizer_config.json") + ": tokenizer_class has the wrong type, found number");

  model.write("tokenizer_config.json", "{}");
  for (const std::string text :
       {"", "{", "null", "{}", R"({"version": "1.0", "model": {"type": "Nonsense"}})",
        R"({"version": "1.0", "model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a b"]}})"}) {
    SCOPED_TRACE(text);
    model.write("tokenizer.json", text);
    const auto message = testing::text_of_error<ModelError>([&] { tokenizer_from_directory(model.path()); });
    EXPECT_TRUE(message.starts_with(path("tokenizer.json") + ": the tokenizer cannot be used, ")) << message;
    EXPECT_TRUE(message.ends_with("; fetch the checkpoint's tokenizer files again")) << message;
  }
}

}  // namespace
}  // namespace whence
