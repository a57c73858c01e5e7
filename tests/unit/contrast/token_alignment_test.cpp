#include "host/token_alignment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <sstream>

#include "support/fake_tokenizer.h"
#include "support/text_of_error.h"
#include "whence/error.h"

namespace whence::host {
namespace {

using Partners = std::vector<std::int64_t>;

/// Tokens of words between blanks; equal words are the same token, and those in <> are special.
std::vector<AlignableToken> tokens(const std::string& text) {
  std::vector<AlignableToken> tokens;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    const bool special = word.front() == '<';
    std::u32string letters(word.begin(), word.end());
    for (char32_t& letter : letters) letter = letter < 128 ? std::tolower(static_cast<int>(letter)) : letter;
    const auto id = static_cast<std::int64_t>(std::hash<std::string>()(word) & 0xffffffff);
    tokens.push_back({id, special ? U"" : letters, special});
  }
  return tokens;
}

Partners partners(const std::string& text, const std::string& other) {
  return align_tokens(tokens(text), tokens(other));
}

TEST(Likeness, OrdersTokensByWhatTheyShare) {
  const auto like = [](const char* one, const char* other) { return likeness(tokens(one)[0], tokens(other)[0]); };
  EXPECT_EQ(like("home", "home"), 100);
  EXPECT_EQ(like("Home", "home"), 90);
  EXPECT_EQ(like("he", "she"), 40);        // 50 * 2 * 2 / 5
  EXPECT_EQ(like("walks", "walked"), 36);  // 50 * 2 * 4 / 11
  EXPECT_EQ(like("ab", "bc"), 25);         // just half of the letters
  EXPECT_EQ(like("doctor", "nurse"), 0);
  EXPECT_EQ(like("<s>", "s"), std::nullopt);
  EXPECT_EQ(like("<s>", "</s>"), 0);
  EXPECT_EQ(like("<s>", "<s>"), 100);
}

TEST(AlignTokens, PairsEqualTokensAndWhatStandsBetweenThem) {
  EXPECT_EQ(partners("the doctor said he was", "the doctor said she was"), (Partners{0, 1, 2, 3, 4}));
  EXPECT_EQ(partners("a b c", "a b c"), (Partners{0, 1, 2}));
  EXPECT_EQ(partners("a doctor here", "a very kind nurse here"), (Partners{0, 1, 4})) << "early tokens come first";
  EXPECT_EQ(partners("a he here", "a very kind she here"), (Partners{0, 3, 4})) << "similar ones before that";
  EXPECT_EQ(partners("she was ill . he said that she was", "he said that she was"),
            (Partners{-1, -1, -1, -1, 0, 1, 2, 3, 4}));
  EXPECT_EQ(partners("he said so", "she was ill . he said so"), (Partners{4, 5, 6}));
  EXPECT_EQ(partners("x y", "y x"), (Partners{1, -1})) << "one of the other text goes without first";
  EXPECT_EQ(partners("a a", "a"), (Partners{0, -1}));
  EXPECT_EQ(partners("a", "a a"), (Partners{0}));
  EXPECT_EQ(partners("", "a"), Partners{});
  EXPECT_EQ(partners("a b", ""), (Partners{-1, -1}));
}

TEST(AlignTokens, KeepsSpecialTokensApart) {
  EXPECT_EQ(partners("<s> word </s>", "<s> <fr> other </s>"), (Partners{0, 2, 3}));
  EXPECT_EQ(partners("<s>", "word"), (Partners{-1}));
}

std::int64_t sum_of(const Partners& partners, const std::vector<AlignableToken>& text,
                    const std::vector<AlignableToken>& other) {
  std::int64_t sum = 0, last = -1;
  for (std::size_t i = 0; i < partners.size(); ++i) {
    if (partners[i] < 0) continue;
    EXPECT_GT(partners[i], last) << "pairs cross";
    last = partners[i];
    const auto like = likeness(text[i], other.at(static_cast<std::size_t>(last)));
    EXPECT_TRUE(like) << "a special token stands for another";
    sum += like.value_or(0);
  }
  return sum;
}

/// The largest sum of all alignments of what is left, one by one.
std::int64_t best_sum(const std::vector<AlignableToken>& text, const std::vector<AlignableToken>& other, std::size_t i,
                      std::size_t j) {
  if (i == text.size() || j == other.size()) return 0;
  std::int64_t best = std::max(best_sum(text, other, i + 1, j), best_sum(text, other, i, j + 1));
  if (const auto like = likeness(text[i], other[j])) best = std::max(best, *like + best_sum(text, other, i + 1, j + 1));
  return best;
}

TEST(AlignTokens, FindsTheLargestSumOfAllAlignments) {
  const std::vector<std::string> words{"he", "she", "the", "The", "walks", "walked", "<s>", "</s>", "x"};
  std::mt19937 random(5);
  for (int round = 0; round < 300; ++round) {
    const auto draw = [&] {
      std::string text;
      for (unsigned left = random() % 8; left > 0; --left) text += words[random() % words.size()] + " ";
      return text;
    };
    const std::string text = draw(), other = draw();
    SCOPED_TRACE("'" + text + "' and '" + other + "'");
    const auto one = tokens(text), another = tokens(other);
    ASSERT_EQ(sum_of(align_tokens(one, another), one, another), best_sum(one, another, 0, 0));
  }
}

TEST(AlignTokens, RefusesTextsThatDifferInTooMuch) {
  std::vector<AlignableToken> one, other;
  for (std::int64_t i = 0; i < 20000; ++i) {
    one.push_back({i, {}, false});
    other.push_back({i + 100000, {}, false});
  }
  EXPECT_EQ(testing::text_of_error<InputError>([&] { align_tokens(one, other); }),
            "the text and its contrastive target differ in 20000 and 20000 tokens, too many to align them; give the "
            "pairs");
  other = one;
  other[0].id = -1;
  EXPECT_EQ(align_tokens(one, other)[19999], 19999) << "what they end with needs no search";
}

TEST(AlignableTokens, FoldLettersAndLeaveBlanksOut) {
  const testing::FakeTokenizer tokenizer(12);
  const auto all = alignable_tokens(tokenizer, {3, 1, 7});
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].word, U"t3");
  EXPECT_TRUE(all[1].special);
  EXPECT_EQ(all[1].word, U"");
  EXPECT_EQ(all[2].word, U"t7") << "decoded as ' t7'";
  EXPECT_EQ(all[2].id, 7);
}

}  // namespace
}  // namespace whence::host
