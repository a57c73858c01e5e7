#include "whence/token_text.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "checkpoint_tokenizer.h"
#include "tokenizer_case.h"

namespace whence {
namespace {

class TokenTexts : public ::testing::TestWithParam<std::string> {};

/// Of every tokenizer family: the tokens of a text write what decoding all of them gives, piece by piece.
TEST_P(TokenTexts, AddUpToTheDecodedText) {
  const TokenizerCase files(GetParam());
  const auto tokenizer = tokenizer_from_directory(files.path());
  const TokenIds& specials = tokenizer->all_special_ids();
  const auto is_special = [&](std::int64_t id) { return std::binary_search(specials.begin(), specials.end(), id); };
  for (const std::string& string : TokenizerCase::strings()) {
    SCOPED_TRACE(string);
    const TokenIds ids = tokenizer->encode(string).ids;
    const TokenText text = token_text(*tokenizer, ids);
    ASSERT_EQ(text.bytes.size(), ids.size());
    ASSERT_EQ(text.special.size(), ids.size());
    std::int64_t start = 0, end = 0;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      EXPECT_EQ(text.special[i], is_special(ids[i]));
      EXPECT_GE(text.bytes[i].start, start);
      EXPECT_LE(text.bytes[i].start, end) << "nothing is left out";
      EXPECT_GE(text.bytes[i].end, text.bytes[i].start);
      start = text.bytes[i].start;
      end = std::max(end, text.bytes[i].end);
    }
    EXPECT_EQ(end, std::ssize(text.text));
    // Decoders treat blanks beside special tokens in ways of their own, so only runs without any are held to it.
    const auto first = std::find_if_not(ids.begin(), ids.end(), is_special);
    const auto last = std::find_if(first, ids.end(), is_special);
    if (!std::all_of(last, ids.end(), is_special)) continue;
    EXPECT_EQ(text.text, tokenizer->decode(TokenIds(first, last), false));
  }
}

INSTANTIATE_TEST_SUITE_P(Families, TokenTexts, ::testing::ValuesIn(TokenizerCase::names()), [](const auto& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace whence
