#include "gguf_tokenizer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "gguf_vocabulary.h"
#include "reference_strings.h"
#include "support/text_of_error.h"
#include "whence/error.h"

namespace whence {
namespace {

using Type = GgufTokenType;

/// The vocabulary of the SmolLM2 file.
const GgufVocabulary& smollm2() {
  static const GgufVocabulary vocabulary = [] {
    const char* folder = std::getenv("WHENCE_MODELS");
    return transformer::read_vocabulary(transformer::GgufFile(
        std::filesystem::path(folder ? folder : WHENCE_MODELS_DIR) / "SmolLM2-135M-Instruct.Q4_1.gguf"));
  }();
  return vocabulary;
}

/// What a GGUF file made from a tokenizer.json of the reference models would hold.
GgufVocabulary converted(const std::string& name, const std::string& model, const std::string& pre) {
  std::ifstream file(WHENCE_TEST_DATA "/cases/models/" + name + "/tokenizer.json");
  const auto json = nlohmann::json::parse(file);
  std::map<std::int64_t, std::string> by_id;
  for (const auto& [token, id] : json.at("model").at("vocab").items()) by_id[id] = token;
  for (const auto& token : json.at("added_tokens")) by_id[token.at("id")] = token.at("content");
  GgufVocabulary vocabulary{.origin = name + ".gguf", .model = model, .pre = pre};
  std::map<std::string, double> score;
  for (const auto& merge : json.at("model").at("merges")) {
    const auto left = merge.at(0).get<std::string>(), right = merge.at(1).get<std::string>();
    vocabulary.merges.push_back(left + " " + right);
    score.emplace(left + right, -static_cast<double>(vocabulary.merges.size()));
  }
  for (const auto& [id, token] : by_id) {
    EXPECT_EQ(id, static_cast<std::int64_t>(vocabulary.tokens.size()));
    const bool is_byte = token.size() == 6 && token.starts_with("<0x");
    vocabulary.tokens.push_back(token);
    vocabulary.token_types.push_back(static_cast<std::int64_t>(is_byte ? Type::byte : Type::normal));
    vocabulary.scores.push_back(score.contains(token) ? score[token] : -1e6);
  }
  for (const auto& token : json.at("added_tokens")) {
    vocabulary.token_types[token.at("id").get<std::size_t>()] = static_cast<std::int64_t>(Type::control);
  }
  return vocabulary;
}

/// A byte-level vocabulary of three letters and their merges.
GgufVocabulary tiny_bpe() {
  return {.origin = "tiny.gguf",
          .model = "gpt2",
          .pre = "gpt-2",
          .tokens = {"a", "b", "c", "ab", "abc", "<s>", "</s>"},
          .token_types = {1, 1, 1, 1, 1, 3, 3},
          .merges = {"a b", "ab c"},
          .bos = 5,
          .eos = 6};
}

/// A SentencePiece vocabulary in the order unknown, BOS, EOS, bytes, letters.
GgufVocabulary tiny_spm() {
  GgufVocabulary vocabulary{.origin = "tiny.gguf", .model = "llama"};
  const auto add = [&](const std::string& token, Type type, double score) {
    vocabulary.tokens.push_back(token);
    vocabulary.token_types.push_back(static_cast<std::int64_t>(type));
    vocabulary.scores.push_back(score);
  };
  add("<unk>", Type::unknown, 0);
  add("<s>", Type::control, 0);
  add("</s>", Type::control, 0);
  for (int byte = 0; byte < 256; ++byte) {
    char text[7];
    std::snprintf(text, sizeof text, "<0x%02X>", static_cast<unsigned>(byte));
    add(text, Type::byte, 0);
  }
  add("bc", Type::normal, -1);                                                     // 259
  add("ab", Type::normal, -2);                                                     // 260
  add("▁a", Type::normal, -3);                                                     // 261
  for (const char* letter : {"▁", "a", "b", "c"}) add(letter, Type::normal, -10);  // 262 to 265
  add("<turn>", Type::user_defined, 0);                                            // 266
  return vocabulary;
}

std::string failure(const GgufVocabulary& vocabulary) {
  return testing::text_of_error<ModelError>([&] { tokenizer_from_gguf(vocabulary); });
}

TEST(GgufTokenizer, AgreesOnEveryStringForTheRealFile) {
  const auto tokenizer = tokenizer_from_gguf(smollm2());
  expect_agreement(*tokenizer, ReferenceStrings::get().tokenizers.at("smollm2-135m-instruct-q4_1"));
  expect_exact_offsets(*tokenizer);
}

TEST(GgufTokenizer, TakesTheSpecialTokensOfTheRealFile) {
  const auto tokenizer = tokenizer_from_gguf(smollm2());
  EXPECT_EQ(tokenizer->special_ids().bos, 1);
  EXPECT_EQ(tokenizer->special_ids().eos, 2);
  EXPECT_EQ(tokenizer->special_ids().unknown, 0);
  EXPECT_EQ(tokenizer->special_ids().pad, 2);
  EXPECT_EQ(tokenizer->all_special_ids().size(), 17u);
  EXPECT_EQ(tokenizer->token(49152), std::nullopt);
  const auto encoding = tokenizer->encode("<|im_start|>user\nhi<|im_end|>");
  EXPECT_EQ(encoding.ids.front(), 1);
  EXPECT_EQ(encoding.ids.back(), 2);
  EXPECT_EQ(encoding.offsets.back(), (Span{19, 29}));
  EXPECT_EQ(tokenizer->decode(encoding.ids, true), "user\nhi");
  EXPECT_EQ(tokenizer->decode(encoding.ids, false), "<|im_start|>user\nhi<|im_end|>");
}

TEST(GgufTokenizer, AgreesWithTheCheckpointAByteLevelVocabularyCameFrom) {
  for (const auto& [name, pre] : {std::pair("gpt2", "gpt-2"), std::pair("qwen2", "qwen2")}) {
    SCOPED_TRACE(name);
    expect_agreement(*tokenizer_from_gguf(converted(name, "gpt2", pre)),
                     ReferenceStrings::get().tokenizers.at(std::string("models/") + name));
  }
}

TEST(GgufTokenizer, AgreesWithTheCheckpointASentencePieceVocabularyCameFrom) {
  auto llama = converted("llama", "llama", "");
  llama.bos = 1;
  llama.unknown = 0;
  expect_agreement(*tokenizer_from_gguf(llama), ReferenceStrings::get().tokenizers.at("models/llama"));
  auto gemma = converted("gemma2", "llama", "");
  gemma.bos = 2;
  gemma.unknown = 3;
  gemma.add_space_prefix = false;
  expect_agreement(*tokenizer_from_gguf(gemma), ReferenceStrings::get().tokenizers.at("models/gemma2"));
}

TEST(GgufTokenizer, JoinsThePiecesWithTheBestScore) {
  const auto tokenizer = tokenizer_from_gguf(tiny_spm());
  EXPECT_EQ(tokenizer->encode("abc").ids, (TokenIds{1, 261, 259})) << "bc (-1) comes before ab (-2)";
  EXPECT_EQ(tokenizer->encode("ab").ids, (TokenIds{1, 262, 260})) << "ab (-2) comes before ▁a (-3)";
  EXPECT_EQ(tokenizer->encode("é", {.add_special_tokens = false}).ids, (TokenIds{262, 3 + 0xC3, 3 + 0xA9}));
  EXPECT_EQ(tokenizer->decode({1, 262, 3 + 0xC3, 3 + 0xA9}, true), "é");
  EXPECT_EQ(tokenizer->decode({1, 261, 262, 264}, true), "a b");
  EXPECT_EQ(tokenizer->all_special_ids(), (TokenIds{0, 1, 2}));
}

TEST(GgufTokenizer, UserDefinedTokensAreCutOutAndNotSpecial) {
  const auto tokenizer = tokenizer_from_gguf(tiny_spm());
  EXPECT_EQ(tokenizer->encode("a<turn>", {.add_special_tokens = false}).ids, (TokenIds{261, 266}));
  EXPECT_EQ(tokenizer->decode({261, 266}, true), "a<turn>");
}

TEST(GgufTokenizer, ByteTokensAreNotMatchedAsText) {
  const auto ids = tokenizer_from_gguf(tiny_spm())->encode("<0x41>", {.add_special_tokens = false}).ids;
  EXPECT_EQ(std::count(ids.begin(), ids.end(), 3 + 0x41), 0);
}

TEST(GgufTokenizer, TheFileDecidesOnBosAndEos) {
  auto vocabulary = tiny_bpe();
  EXPECT_EQ(tokenizer_from_gguf(vocabulary)->encode("abc").ids, (TokenIds{4}));
  vocabulary.add_bos = true;
  EXPECT_EQ(tokenizer_from_gguf(vocabulary)->encode("abc").ids, (TokenIds{5, 4}));
  vocabulary.add_eos = true;
  EXPECT_EQ(tokenizer_from_gguf(vocabulary)->encode("abc").ids, (TokenIds{5, 4, 6}));
  vocabulary = tiny_bpe();
  vocabulary.pre = "llama-bpe";
  EXPECT_EQ(tokenizer_from_gguf(vocabulary)->encode("abc").ids, (TokenIds{5, 4}))
      << "what this family means by silence";
  auto spm = tiny_spm();
  spm.add_bos = false;
  EXPECT_EQ(tokenizer_from_gguf(spm)->encode("abc").ids, (TokenIds{261, 259}));
  spm.add_space_prefix = false;
  EXPECT_EQ(tokenizer_from_gguf(spm)->encode("bc").ids, (TokenIds{259}));
}

TEST(GgufTokenizer, DoesWithoutTokenTypes) {
  auto vocabulary = tiny_bpe();
  vocabulary.token_types.clear();
  EXPECT_EQ(tokenizer_from_gguf(vocabulary)->all_special_ids(), (TokenIds{5, 6}));
}

TEST(GgufTokenizer, NamesEmptyTokens) {
  auto vocabulary = tiny_bpe();
  vocabulary.tokens[5] = "";
  EXPECT_EQ(tokenizer_from_gguf(vocabulary)->token(5), "[EMPTY_5]");
}

TEST(GgufTokenizer, PreTokenizersCutWhereTheirModelsDo) {
  // Tokens of the real vocabulary show which characters a merge could reach.
  auto vocabulary = smollm2();
  const auto tokens = [&](const char* pre, const char* text) {
    vocabulary.pre = pre;
    return tokenizer_from_gguf(vocabulary)->encode(text, {.add_special_tokens = false}).tokens;
  };
  using Tokens = std::vector<std::string>;
  EXPECT_EQ(tokens("smollm", "in 12"), (Tokens{"in", "Ġ", "1", "2"})) << "digits lose the space before them";
  EXPECT_EQ(tokens("gpt-2", "\n\n\nthe"), (Tokens{"ĊĊ", "Ċ", "the"})) << "the last line break is cut off";
  EXPECT_EQ(tokens("llama-bpe", "\n\n\nthe"), (Tokens{"ĊĊĊ", "the"}));
  EXPECT_EQ(tokens("gpt-2", "don't"), (Tokens{"don", "'t"}));
  EXPECT_EQ(tokens("default", "don't"), (Tokens{"don", "'", "t"})) << "marks are cut off first";
}

TEST(GgufTokenizer, RefusesUnknownKinds) {
  const std::string place = "tiny.gguf: tokenizer.ggml.model: ";
  const std::string mend =
      "; known are bert, gemma4, gpt2, llama and t5: use the checkpoint's Hugging Face directory, or a file converted "
      "with one of these";
  auto vocabulary = tiny_bpe();
  vocabulary.model = "gpt3";
  EXPECT_EQ(failure(vocabulary), place + "unknown tokenizer 'gpt3', the nearest is 'gpt2'" + mend);
  vocabulary.model = "rwkv";
  EXPECT_EQ(failure(vocabulary), place + "'rwkv' is the longest-match tokenizer of RWKV, which is not read" + mend);
  vocabulary.model = "none";
  EXPECT_EQ(failure(vocabulary), place + "'none' is no vocabulary, which is not read" + mend);
}

TEST(GgufTokenizer, RefusesInconsistentVocabularies) {
  const std::string place = "tiny.gguf: tokenizer.ggml.", mend = "; the file is damaged, fetch or convert it again";
  const auto changed = [](GgufVocabulary vocabulary, auto change) {
    change(vocabulary);
    return failure(vocabulary);
  };
  const auto bpe = [&](auto change) { return changed(tiny_bpe(), change); };
  const auto spm = [&](auto change) { return changed(tiny_spm(), change); };
  using V = GgufVocabulary;
  EXPECT_EQ(bpe([](V& v) { v.tokens.clear(); }), place + "tokens: no tokens" + mend);
  EXPECT_EQ(bpe([](V& v) { v.tokens[1] = "a"; }), place + "tokens[1]: the same text as token 0" + mend);
  EXPECT_EQ(bpe([](V& v) { v.tokens[2] = "\xFF"; }), place + "tokens[2]: not valid UTF-8" + mend);
  EXPECT_EQ(bpe([](V& v) { v.tokens[2] = std::string(5000, 'x'); }),
            place + "tokens[2]: expected at most 4096 bytes, found 5000" + mend);
  EXPECT_EQ(bpe([](V& v) { v.tokens.resize((std::size_t{1} << 22) + 1); }),
            place + "tokens: expected at most 4194304 tokens, found 4194305" + mend);
  EXPECT_EQ(bpe([](V& v) { v.token_types.pop_back(); }),
            place + "token_type: expected one for each of the 7 tokens, found 6" + mend);
  EXPECT_EQ(bpe([](V& v) { v.scores = {1}; }), place + "scores: expected one for each of the 7 tokens, found 1" + mend);
  EXPECT_EQ(spm([](V& v) { v.scores.clear(); }),
            place + "scores: expected one for each of the 267 tokens, found 0" + mend);
  EXPECT_EQ(spm([](V& v) { v.scores[4] = NAN; }), place + "scores[4]: not a number" + mend);
  EXPECT_EQ(bpe([](V& v) { v.merges.clear(); }), place + "merges: no merges, a gpt2 vocabulary needs them" + mend);
  EXPECT_EQ(bpe([](V& v) { v.merges[1] = "ab"; }),
            place + "merges[1]: expected two tokens and a space between them" + mend);
  EXPECT_EQ(bpe([](V& v) { v.merges[1] = "ab "; }),
            place + "merges[1]: expected two tokens and a space between them" + mend);
  EXPECT_EQ(bpe([](V& v) { v.merges[1] = ""; }),
            place + "merges[1]: expected two tokens and a space between them" + mend);
  EXPECT_EQ(bpe([](V& v) { v.merges[1] = "ab x"; }), place + "merges[1]: 'x' is not a token" + mend);
  EXPECT_EQ(bpe([](V& v) { v.merges[1] = "b c"; }), place + "merges[1]: 'bc' is not a token" + mend);
  EXPECT_EQ(bpe([](V& v) { v.merges[1] = "b \xFF"; }), place + "merges[1]: not valid UTF-8" + mend);
  EXPECT_EQ(bpe([](V& v) { v.eos = 7; }), place + "eos_token_id: expected an id below 7, found 7" + mend);
  EXPECT_EQ(bpe([](V& v) { v.pad = -1; }), place + "padding_token_id: expected an id below 7, found -1" + mend);
  EXPECT_EQ(bpe([](V& v) { v.add_eos = true, v.eos.reset(); }),
            place + "add_eos_token: true, but there is no tokenizer.ggml.eos_token_id" + mend);
}

}  // namespace
}  // namespace whence
