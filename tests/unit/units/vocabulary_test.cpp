#include "whence/vocabulary.h"

#include <gtest/gtest.h>

#include "whence/token_text.h"

namespace whence {
namespace {

TEST(Vocabulary, IsToldFromMarkers) {
  std::vector<Token> tokens = {{"<s>", 1}, {"é", 2}};
  EXPECT_EQ(vocabulary_of(tokens), Vocabulary::plain);
  EXPECT_EQ(vocabulary_of(tokens, {{"ly</w>", 3}}), Vocabulary::word_end);
  EXPECT_EQ(vocabulary_of(tokens, {{"##ly", 3}}), Vocabulary::word_piece);
  tokens.push_back({"Ġhome", 3});
  EXPECT_EQ(vocabulary_of(tokens), Vocabulary::byte_level);
  EXPECT_EQ(vocabulary_of(tokens, {{"▁home", 3}}), Vocabulary::metaspace);
}

TEST(Vocabulary, EntriesBecomeText) {
  EXPECT_EQ(entry_text("Ġhome", Vocabulary::byte_level), " home");
  EXPECT_EQ(entry_text("ĊĊ", Vocabulary::byte_level), "\n\n");
  EXPECT_EQ(entry_text("Ã©", Vocabulary::byte_level), "é");
  EXPECT_EQ(entry_text("æĹ", Vocabulary::byte_level), "\xe6\x97") << "half a character";
  EXPECT_EQ(entry_text("<｜end｜>", Vocabulary::byte_level), "<｜end｜>") << "not of the byte alphabet";
  EXPECT_EQ(entry_text("▁the▁cat", Vocabulary::metaspace), " the cat");
  EXPECT_EQ(entry_text("<0x0A>", Vocabulary::metaspace), "\n");
  EXPECT_EQ(entry_text("home</w>", Vocabulary::word_end), "home ");
  EXPECT_EQ(entry_text("##ly", Vocabulary::word_piece), "ly");
  EXPECT_EQ(entry_text("home", Vocabulary::word_piece), " home");
  EXPECT_EQ(entry_text("[SEP]", Vocabulary::word_piece), "[SEP]");
  EXPECT_EQ(entry_text("Ġhome", Vocabulary::plain), "Ġhome");
}

TEST(Vocabulary, TellsSpecialTokens) {
  for (const char* entry : {"<s>", "<|im_start|>", "[SEP]"}) EXPECT_TRUE(looks_special(entry)) << entry;
  for (const char* entry : {"<0x0A>", "</w>", "<", "<a", "[]"}) EXPECT_FALSE(looks_special(entry)) << entry;
}

TEST(TokenTextOfEntries, IsWhatTheyStandFor) {
  const TokenText text = token_text({{"<s>", 1}, {"▁caf", 2}, {"<0xC3>", 3}, {"<0xA9>", 4}, {"▁x", 5}});
  EXPECT_EQ(text.text, " café x");
  EXPECT_EQ(text.bytes, (std::vector<Span>{{0, 0}, {0, 4}, {4, 5}, {5, 6}, {6, 8}}));
  EXPECT_EQ(text.special, (std::vector<bool>{true, false, false, false, false}));
}

}  // namespace
}  // namespace whence
