#include <gtest/gtest.h>

#include <algorithm>

#include "checkpoint_tokenizer.h"
#include "support/text_of_error.h"
#include "tokenizer_case.h"
#include "whence/error.h"

namespace whence {
namespace {

/// Where every character of a text begins, and its end.
std::vector<std::size_t> starts_of(const std::string& text) {
  std::vector<std::size_t> starts;
  for (std::size_t i = 0; i < text.size(); ++i)
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) starts.push_back(i);
  starts.push_back(text.size());
  return starts;
}

std::string part_of(const std::string& text, const Span& characters) {
  const auto starts = starts_of(text);
  return text.substr(starts.at(characters.start), starts.at(characters.end) - starts.at(characters.start));
}

/// What the words of a text, without its special tokens, were in the text.
std::vector<std::string> words_of(const Tokenizer& tokenizer, const std::string& text) {
  const auto encoding = tokenizer.encode(text, {.add_special_tokens = false});
  std::vector<std::string> words;
  std::optional<Span> word;
  for (std::size_t i = 0; i < encoding.ids.size(); ++i) {
    if (!word) word = encoding.offsets[i];
    word->start = std::min(word->start, encoding.offsets[i].start);
    word->end = std::max(word->end, encoding.offsets[i].end);
    if (!encoding.tokens[i].ends_with("</w>")) continue;
    words.push_back(part_of(text, *word));
    word.reset();
  }
  EXPECT_FALSE(word) << "the last word has no end";
  return words;
}

using Words = std::vector<std::string>;

TEST(MosesWords, PointToWhereTheyStand) {
  const auto tokenizer = tokenizer_from_directory(TokenizerCase("fsmt").path());
  EXPECT_EQ(words_of(*tokenizer, "It's  up-to... (5 %)."),
            (Words{"It", "'s", "up", "-", "to", "...", "(", "5", " %", ")", "."}));
  EXPECT_EQ(words_of(*tokenizer, "\"no,\" a&b"), (Words{"\"", "no", ",", "\"", "a", "&", "b"}));
  EXPECT_EQ(words_of(*tokenizer, "日本。a"), (Words{"日", "本", "。", "a"}));
}

TEST(MosesWords, KeepTheTextOfEveryPiece) {
  const auto tokenizer = tokenizer_from_directory(TokenizerCase("biogpt").path());
  std::size_t compared = 0;
  for (const std::string& text : TokenizerCase::strings()) {
    const bool is_rewritten = text.find("DOT") != std::string::npos ||
                              std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20; });
    if (is_rewritten) continue;
    SCOPED_TRACE(text);
    const auto encoding = tokenizer->encode(text);
    for (std::size_t i = 0; i < encoding.ids.size(); ++i) {
      std::string piece = encoding.tokens[i];
      if (encoding.special[i] || encoding.ids[i] == tokenizer->special_ids().unknown) continue;
      const std::string part = part_of(text, encoding.offsets[i]);
      // These are written by name or between signs.
      if (part.size() == 1 && std::string_view("&|<>'\"[]-").find(part) != std::string_view::npos) continue;
      if (piece.ends_with("</w>")) piece.resize(piece.size() - 4);
      if (piece.starts_with("&apos;")) piece.replace(0, 6, "'");
      EXPECT_EQ(part, piece);
      ++compared;
    }
  }
  EXPECT_GT(compared, 2000u);
}

TEST(MosesWords, OfLowerCasedTextsPointToTheOriginal) {
  const auto tokenizer = tokenizer_from_directory(TokenizerCase("fsmt_lower_case").path());
  const auto encoding = tokenizer->encode("İA B", {.add_special_tokens = false});
  EXPECT_EQ(encoding.tokens.back(), "b</w>");
  EXPECT_EQ(encoding.offsets.back(), (Span{3, 4}));
  EXPECT_EQ(words_of(*tokenizer, "ÄB CD"), (Words{"ÄB", "CD"}));
}

TEST(MosesTokenizers, EachSideHasItsVocabulary) {
  const TokenizerCase files("fsmt");
  const auto tokenizer = tokenizer_from_directory(files.path());
  const Tokenizer& target = tokenizer->on(Side::target);
  EXPECT_NE(&target, tokenizer.get());
  EXPECT_NE(target.id("a</w>"), tokenizer->id("a</w>"));
  EXPECT_EQ(target.decode(target.encode("Привет, мир!").ids, true), "Привет, мир!");
}

TEST(MosesTokenizers, SayWhatTheirFilesLack) {
  const TokenizerCase files("fsmt");
  const auto failure = [&] {
    return testing::text_of_error<ModelError>([&] { tokenizer_from_directory(files.path()); });
  };
  const auto config = (files.path() / "tokenizer_config.json").string();
  files.write("tokenizer_config.json", R"({"tokenizer_class": "FSMTTokenizer"})");
  EXPECT_EQ(failure(), config +
                           ": langs: expected the languages of source and target, such as [\"en\", \"ru\"], found 0 "
                           "languages");
  files.write("tokenizer_config.json", R"({"tokenizer_class": "FSMTTokenizer", "langs": ["en", "fr"]})");
  EXPECT_EQ(failure(), config + ": langs: there are no Moses rules for 'fr'; expected de, en or ru");
  files.write("tokenizer_config.json", R"({"tokenizer_class": "FSMTTokenizer", "langs": ["en", "de"]})");
  files.write("merges.txt", "a b 12\na b c\n");
  EXPECT_EQ(failure(), (files.path() / "merges.txt").string() +
                           ":2: expected two tokens and a space between them, found 'a b c'; fetch the file again");
  files.write("merges.txt", "a b 12\n");
  files.write("tokenizer_config.json",
              R"({"tokenizer_class": "FSMTTokenizer", "langs": ["en", "de"], "unk_token": null})");
  EXPECT_EQ(failure(), (files.path() / "vocab-src.json").string() +
                           ": the vocabulary lacks the unknown token; fetch the tokenizer files again");
}

}  // namespace
}  // namespace whence
