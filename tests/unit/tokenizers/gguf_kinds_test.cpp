#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "gguf_pre_tokenizers.h"
#include "gguf_tokenizer.h"
#include "hf_tokenizer.h"
#include "sentence_piece_model.h"
#include "support/text_of_error.h"
#include "text_utf8.h"
#include "tokenizer_case.h"
#include "whence/error.h"

namespace whence {
namespace {

using nlohmann::json;

json read(const std::string& name) {
  std::ifstream file(WHENCE_TEST_DATA "/gguf_tokenizers/" + name + ".json");
  return json::parse(file);
}

std::string failure(const GgufVocabulary& vocabulary) {
  return testing::text_of_error<ModelError>([&] { tokenizer_from_gguf(vocabulary); });
}

std::string from_base64(const std::string& text) {
  const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  unsigned bits = 0, count = 0;
  for (const char digit : text.substr(0, text.find('='))) {
    bits = bits << 6 | static_cast<unsigned>(digits.find(digit));
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes += static_cast<char>(bits >> count);
  }
  return bytes;
}

/// What the converter of llama.cpp writes for tests/data/tokenizers/t5.model and 100 extra ids.
GgufVocabulary t5() {
  const auto path = WHENCE_TEST_DATA "/tokenizers/t5.model";
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const auto model = read_sentence_piece_model(bytes, path);
  GgufVocabulary vocabulary{.origin = "t5.gguf",
                            .model = "t5",
                            .eos = 1,
                            .unknown = 2,
                            .pad = 0,
                            .add_bos = false,
                            .add_eos = true,
                            .add_space_prefix = true,
                            .remove_extra_whitespaces = true,
                            .charsmap = from_base64(model.charsmap)};
  const auto add = [&](const std::string& token, double score, TokenType type) {
    vocabulary.tokens.push_back(token);
    vocabulary.scores.push_back(score);
    vocabulary.token_types.push_back(static_cast<std::int64_t>(type));
  };
  for (const auto& piece : model.pieces) add(piece.text, piece.score, piece.type);
  for (int i = 99; i >= 0; --i) add("<extra_id_" + std::to_string(i) + ">", -1000, TokenType::control);
  return vocabulary;
}

GgufVocabulary bert() {
  const auto stored = read("bert");
  return {.origin = "bert.gguf",
          .model = "bert",
          .tokens = stored.at("tokens"),
          .token_types = stored.at("token_types"),
          .bos = stored.at("bos"),
          .unknown = stored.at("unknown"),
          .pad = stored.at("pad"),
          .separator = stored.at("separator")};
}

/// Cuts texts with a vocabulary of one token, so that every piece is one: its offsets are where the text was cut.
class Cutter {
 public:
  explicit Cutter(const GgufPreTokenizer& pre_tokenizer)
      : tokenizer_(json{{"version", "1.0"},
                        {"pre_tokenizer", to_json(pre_tokenizer)},
                        {"model", {{"type", "WordLevel"}, {"vocab", {{"?", 0}}}, {"unk_token", "?"}}}}
                       .dump(),
                   "test", {}, {}) {}

  std::vector<std::string> pieces(const std::string& text) const {
    const auto starts = character_starts(text);
    std::vector<std::string> found;
    for (const auto& [start, end] : tokenizer_.encode(text).offsets)
      found.push_back(text.substr(starts.at(start), starts.at(end) - starts.at(start)));
    return found;
  }

 private:
  HfTokenizer tokenizer_;
};

TEST(GgufPreTokenizers, CutEveryTextAsTheirExpressionsDo) {
  const auto stored = read("pre_tokenizers");
  const auto texts = stored.at("texts").get<std::vector<std::string>>();
  std::vector<std::string> tested;
  for (const auto& [shared, expected] : stored.at("pieces").items()) {
    std::istringstream names(shared);
    for (std::string name; names >> name;) {
      SCOPED_TRACE(name);
      tested.push_back(name);
      const auto* pre_tokenizer = find_gguf_pre_tokenizer(name);
      ASSERT_NE(pre_tokenizer, nullptr);
      const Cutter cutter(*pre_tokenizer);
      for (std::size_t i = 0; i < texts.size(); ++i)
        EXPECT_EQ(cutter.pieces(texts[i]), expected[i].get<std::vector<std::string>>()) << texts[i];
    }
  }
  std::sort(tested.begin(), tested.end());
  EXPECT_EQ(tested, gguf_pre_tokenizer_names()) << "every name is tested, and the names are sorted";
}

TEST(GgufPreTokenizers, ReportAnUnknownName) {
  GgufVocabulary vocabulary{
      .origin = "tiny.gguf", .model = "gpt2", .pre = "smolm", .tokens = {"a", "b", "ab"}, .merges = {"a b"}};
  const auto text = failure(vocabulary);
  EXPECT_TRUE(
      text.starts_with("tiny.gguf: tokenizer.ggml.pre: unknown pre-tokenizer 'smolm', the nearest is 'smollm'; "
                       "known are a.x-4.0, afmoe, "))
      << text;
  EXPECT_TRUE(text.ends_with("viking, youtu; use the checkpoint's Hugging Face directory")) << text;
  vocabulary.pre = "whitespace";
  EXPECT_EQ(
      failure(vocabulary),
      "tiny.gguf: tokenizer.ggml.pre: 'whitespace' is a pre-tokenizer of embedding models, which is not read; take "
      "a model that generates text");
}

TEST(GgufKinds, UnigramAgreesWithTheCheckpointItCameFrom) {
  const TokenizerCase stored("t5");
  expect_agreement(*tokenizer_from_gguf(t5()), stored.expected());
}

TEST(GgufKinds, RefusesUnigramVocabulariesThatItCannotRead) {
  auto vocabulary = t5();
  vocabulary.charsmap = "\x04";
  EXPECT_EQ(failure(vocabulary),
            "t5.gguf: tokenizer.ggml.precompiled_charsmap: its normalisation map is damaged: it is cut off; the file "
            "is damaged, fetch or convert it again");
  vocabulary = t5();
  vocabulary.remove_extra_whitespaces = false;
  EXPECT_EQ(failure(vocabulary),
            "t5.gguf: tokenizer.ggml.remove_extra_whitespaces: a unigram vocabulary that keeps runs of spaces is not "
            "read, found false; use the checkpoint's Hugging Face directory");
}

TEST(GgufKinds, WordPieceAgreesWithTransformers) {
  const auto stored = read("bert");
  const auto tokenizer = tokenizer_from_gguf(bert());
  const auto& strings = TokenizerCase::strings();
  for (std::size_t i = 0; i < strings.size(); ++i) {
    SCOPED_TRACE(strings[i]);
    const auto ids = stored.at("ids")[i].get<TokenIds>();
    EXPECT_EQ(tokenizer->encode(strings[i]).ids, ids);
    const auto& decoded = stored.at("decoded")[i];
    EXPECT_EQ(tokenizer->decode(ids, true), decoded.is_null() ? strings[i] : decoded.get<std::string>());
  }
  EXPECT_EQ(tokenizer->all_special_ids().size(), 5u);
}

TEST(GgufKinds, WordPieceKeepsUpperCaseWhereTheFileSaysSo) {
  auto vocabulary = bert();
  const auto lower = tokenizer_from_gguf(vocabulary)->encode("THE").ids;
  vocabulary.lowercase = false;
  EXPECT_NE(tokenizer_from_gguf(vocabulary)->encode("THE").ids, lower);
  EXPECT_EQ(tokenizer_from_gguf(vocabulary)->encode("the").ids, lower);
}

TEST(GgufKinds, WordPieceNeedsItsFrame) {
  auto vocabulary = bert();
  vocabulary.separator.reset();
  vocabulary.tokens.resize(60);
  vocabulary.token_types.resize(60);
  EXPECT_EQ(failure(vocabulary),
            "bert.gguf: tokenizer.ggml.seperator_token_id: missing, a bert vocabulary needs it; the file is damaged, "
            "fetch or convert it again");
}

TEST(GgufKinds, SpaceMarkedMergesCutOnlyAtLineBreaks) {
  GgufVocabulary vocabulary{.origin = "gemma4.gguf",
                            .model = "gemma4",
                            .tokens = {"<pad>", "<bos>", "a", "b", "\xE2\x96\x81",
                                       "\xE2\x96\x81"
                                       "b",
                                       "a\xE2\x96\x81"
                                       "b",
                                       "\n", "\n\n", "<0xC3>", "<0xA9>"},
                            .token_types = {3, 3, 1, 1, 1, 1, 1, 1, 1, 6, 6},
                            .merges = {"\xE2\x96\x81 b",
                                       "a \xE2\x96\x81"
                                       "b",
                                       "\n \n"},
                            .bos = 1};
  const auto tokenizer = tokenizer_from_gguf(vocabulary);
  EXPECT_EQ(tokenizer->encode("a b").ids, (TokenIds{1, 6})) << "merges pass over spaces";
  EXPECT_EQ(tokenizer->encode("b\n\n\xC3\xA9").ids, (TokenIds{1, 3, 8, 9, 10}));
  EXPECT_EQ(tokenizer->decode({1, 6, 8, 9, 10}, true), "a b\n\n\xC3\xA9");
}

}  // namespace
}  // namespace whence
