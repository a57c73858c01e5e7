#include <gtest/gtest.h>

#include "checkpoint_tokenizer.h"
#include "support/text_of_error.h"
#include "tokenizer_case.h"
#include "whence/error.h"

namespace whence {
namespace {

class VocabularyFiles : public ::testing::TestWithParam<std::string> {};

std::optional<std::int64_t> id_or_none(const nlohmann::json& id) {
  return id.is_null() ? std::nullopt : std::optional<std::int64_t>(id.get<std::int64_t>());
}

TEST_P(VocabularyFiles, AgreeOnEveryString) {
  const TokenizerCase files(GetParam());
  const auto tokenizer = tokenizer_from_directory(files.path());
  const auto expect_both_sides = [&](const nlohmann::json& expected) {
    expect_agreement(*tokenizer, expected);
    if (!expected.contains("target")) return;
    SCOPED_TRACE("target side");
    expect_agreement(tokenizer->on(Side::target), expected.at("target"));
  };
  expect_both_sides(files.expected());
  if (files.expected().contains("own")) expect_both_sides(files.expected().at("own"));
}

TEST_P(VocabularyFiles, NameTheSpecialTokens) {
  const TokenizerCase files(GetParam());
  const auto tokenizer = tokenizer_from_directory(files.path());
  const auto& special = files.expected().at("special");
  EXPECT_EQ(tokenizer->special_ids().bos, id_or_none(special.at("bos")));
  EXPECT_EQ(tokenizer->special_ids().eos, id_or_none(special.at("eos")));
  EXPECT_EQ(tokenizer->special_ids().unknown, id_or_none(special.at("unknown")));
  EXPECT_EQ(tokenizer->special_ids().pad, id_or_none(special.at("pad")));
}

INSTANTIATE_TEST_SUITE_P(All, VocabularyFiles, ::testing::ValuesIn(TokenizerCase::names()), [](const auto& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

std::string failure(const TokenizerCase& files) {
  return testing::text_of_error<ModelError>([&] { tokenizer_from_directory(files.path()); });
}

TEST(BrokenVocabularyFiles, NameTheMissingFile) {
  for (const auto& [name, file] :
       std::vector<std::pair<std::string, std::string>>{{"gpt2", "vocab.json"},
                                                        {"gpt2", "merges.txt"},
                                                        {"t5", "spiece.model"},
                                                        {"llama", "tokenizer.model"},
                                                        {"mbart", "sentencepiece.bpe.model"},
                                                        {"marian", "source.spm"},
                                                        {"marian", "target.spm"},
                                                        {"marian", "vocab.json"},
                                                        {"marian_two_vocabularies", "target_vocab.json"},
                                                        {"fsmt", "vocab-src.json"},
                                                        {"fsmt", "vocab-tgt.json"},
                                                        {"fsmt", "merges.txt"},
                                                        {"m2m_100", "vocab.json"},
                                                        {"m2m_100", "sentencepiece.bpe.model"}}) {
    SCOPED_TRACE(name + " without " + file);
    const TokenizerCase files(name);
    const auto kind = nlohmann::json::parse(files.read("tokenizer_config.json")).at("tokenizer_class");
    files.remove(file);
    EXPECT_EQ(failure(files), files.path().string() + ": " + file + " is missing, which " + kind.get<std::string>() +
                                  " needs when there is no tokenizer.json; fetch it with the checkpoint");
  }
}

TEST(BrokenVocabularyFiles, NameTheLineOfABadMerge) {
  const TokenizerCase files("gpt2");
  const auto place = (files.path() / "merges.txt").string() + ":3: ";
  const auto with = [&](const std::string& line) {
    files.write("merges.txt", "#version: 0.2\ni n\n" + line + "\n");
    return failure(files);
  };
  EXPECT_EQ(with("abc"), place + "expected two tokens and a space between them, found 'abc'; fetch the file again");
  EXPECT_EQ(with("a b c"), place + "expected two tokens and a space between them, found 'a b c'; fetch the file again");
  EXPECT_EQ(with("a "), place + "expected two tokens and a space between them, found 'a '; fetch the file again");
  EXPECT_EQ(with("\xE6\x97\xA5 a"), place + "'\xE6\x97\xA5' is not in vocab.json; fetch both files again");
  EXPECT_EQ(with("q q"), place + "'qq' is not in vocab.json; fetch both files again");
  EXPECT_EQ(with("q \xFF"), place + "not valid UTF-8; fetch the file again");
}

TEST(BrokenVocabularyFiles, NameTheBadEntryOfAVocabulary) {
  for (const std::string name : {"gpt2", "marian"}) {
    SCOPED_TRACE(name);
    const TokenizerCase files(name);
    const auto place = (files.path() / "vocab.json").string() + ": ";
    const auto with = [&](const std::string& text) {
      files.write("vocab.json", text);
      return failure(files);
    };
    EXPECT_EQ(with("{}"), place + "no tokens; fetch the file again");
    EXPECT_EQ(with("[1]"), place + "expected an object, found array; fetch the file again");
    EXPECT_EQ(with(R"({"a": 1)"), place + "broken JSON at byte 8; fetch the file again");
    EXPECT_EQ(with(R"({"a": "1"})"),
              place + "'a': expected an id from 0 to 4194304, found \"1\"; fetch the file again");
    EXPECT_EQ(with(R"({"a": -1})"), place + "'a': expected an id from 0 to 4194304, found -1; fetch the file again");
    EXPECT_EQ(with(R"({"a": 1e300})"),
              place + "'a': expected an id from 0 to 4194304, found 1e+300; fetch the file again");
    EXPECT_EQ(with(R"({"a": 1, "b": 1})"), place + "'b': id 1 belongs to two tokens; fetch the file again");
  }
}

TEST(BrokenVocabularyFiles, NameTheSpecialTokenThatIsMissing) {
  const TokenizerCase bart("bart");
  auto vocab = nlohmann::json::parse(bart.read("vocab.json"));
  vocab.erase("</s>");
  bart.write("vocab.json", vocab.dump());
  EXPECT_EQ(failure(bart),
            (bart.path() / "vocab.json").string() + ": the special token '</s>' is missing; fetch the file again");
}

TEST(BrokenVocabularyFiles, DamagedSentencePieceModelsAreRefused) {
  for (const auto& [name, file] : std::vector<std::pair<std::string, std::string>>{
           {"t5", "spiece.model"}, {"llama", "tokenizer.model"}, {"marian", "target.spm"}}) {
    SCOPED_TRACE(name);
    const TokenizerCase files(name);
    const auto whole = files.read(file);
    const auto place = (files.path() / file).string() + ": ";
    for (const std::string& bytes : {std::string(), std::string("{}"), whole.substr(0, whole.size() / 2)}) {
      files.write(file, bytes);
      const auto text = failure(files);
      EXPECT_TRUE(text.starts_with(place)) << text;
      EXPECT_TRUE(text.ends_with("; fetch the file again")) << text;
    }
    files.write(file, "");
    EXPECT_EQ(failure(files), place + "expected 1 to 4194304 pieces, found 0; fetch the file again");
  }
}

TEST(BrokenVocabularyFiles, AMapThatLeadsOutsideIsRefused) {
  const TokenizerCase files("marian");
  auto bytes = files.read("source.spm");
  // The map starts with the size of its trie, whose first unit is the root: give that a far child.
  const std::string name = "nmt_nfkc";
  const auto map = bytes.rfind(name) + name.size() + 4;  // the field's tag and length
  ASSERT_LT(map + 8, bytes.size());
  bytes.replace(map + 4, 4, "\xFF\xFF\xFF\x7F");
  files.write("source.spm", bytes);
  EXPECT_EQ(failure(files), (files.path() / "source.spm").string() +
                                ": not a sentencepiece model, its normalisation map is damaged: its trie leads "
                                "outside; fetch the file again");
}

TEST(LanguageCodes, FrameTextsOfBothSides) {
  const TokenizerCase files("mbart");
  const auto tokenizer = tokenizer_from_directory(files.path());
  EXPECT_EQ(tokenizer->language_id("ro_RO"), tokenizer->id("ro_RO"));
  EXPECT_EQ(tokenizer->language_id("de"), std::nullopt);
  const auto last = [](const Encoding& encoding) { return encoding.tokens.back(); };
  EXPECT_EQ(last(tokenizer->encode("a")), "de_DE");
  EXPECT_EQ(last(tokenizer->encode("a", {.language = "fr_XX"})), "fr_XX");
  const auto& target = tokenizer->on(Side::target);
  EXPECT_EQ(last(target.encode("a")), "ro_RO");
  EXPECT_EQ(&tokenizer->on(Side::source), tokenizer.get());
  const auto encoding = target.encode("a", {.language = "fr_XX"});
  EXPECT_EQ(last(encoding), "fr_XX");
  EXPECT_TRUE(encoding.special.back());
  EXPECT_EQ(encoding.offsets.back(), (Span{0, 0}));
  EXPECT_EQ(testing::text_of_error<InputError>([&] { tokenizer->encode("a", {.language = "fr_XY"}); }),
            "text: the tokenizer has no language 'fr_XY', the nearest is 'fr_XX'; name one of the checkpoint's");
}

TEST(LanguageCodes, OfM2mAreWrittenWithoutUnderscores) {
  const TokenizerCase files("m2m_100");
  const auto tokenizer = tokenizer_from_directory(files.path());
  EXPECT_EQ(tokenizer->encode("a", {.language = "de"}).tokens.front(), "__de__");
  EXPECT_EQ(tokenizer->encode("a", {.language = "__de__"}).tokens.front(), "__de__");
  EXPECT_EQ(tokenizer->on(Side::target).language_id("fr"), tokenizer->id("__fr__"));
}

TEST(LanguageCodes, AreMissedWhereNoneIsKnown) {
  const TokenizerCase files("mbart");
  auto config = nlohmann::json::parse(files.read("tokenizer_config.json"));
  config.erase("tgt_lang");
  files.write("tokenizer_config.json", config.dump());
  const auto tokenizer = tokenizer_from_directory(files.path());
  const auto& target = tokenizer->on(Side::target);
  EXPECT_EQ(testing::text_of_error<InputError>([&] { target.encode("a"); }),
            "text: the language of the target is not known; name it, or write it as tgt_lang into "
            "tokenizer_config.json");
  EXPECT_EQ(target.encode("a", {.language = "ro_RO"}).tokens.back(), "ro_RO");
  config["src_lang"] = "de_DD";
  files.write("tokenizer_config.json", config.dump());
  EXPECT_EQ(failure(files), files.path().string() +
                                ": the vocabulary lacks language 'de_DD', the nearest is 'de_DE'; mend src_lang and "
                                "tgt_lang in tokenizer_config.json, or fetch the tokenizer files again");
  for (const char* name : {"marian", "gpt2"}) {
    const TokenizerCase other(name);
    EXPECT_EQ(testing::text_of_error<InputError>(
                  [&] { tokenizer_from_directory(other.path())->encode("a", {.language = "fr"}); }),
              "text: the tokenizer has no language 'fr', it knows none; leave it out");
  }
}

}  // namespace
}  // namespace whence
