#include "reference_strings.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

namespace whence {
namespace {

/// The characters [span.start, span.end) of a UTF-8 text.
std::string slice_characters(const std::string& text, const Span& span) {
  std::string slice;
  std::int64_t position = -1;
  for (const char byte : text) {
    if ((static_cast<unsigned char>(byte) & 0xC0) != 0x80) ++position;
    if (position >= span.start && position < span.end) slice += byte;
  }
  return slice;
}

ReferenceStrings read_strings() {
  std::ifstream file(WHENCE_TEST_DATA "/cases/tokenizers.json");
  const auto json = nlohmann::json::parse(file);
  ReferenceStrings strings{.strings = json.at("strings")};
  for (const auto& [name, entry] : json.at("tokenizers").items()) {
    strings.tokenizers[name] = {entry.at("ids"), entry.at("ids_no_special"), entry.at("decoded"),
                                entry.value("target_ids", std::vector<TokenIds>())};
  }
  return strings;
}

}  // namespace

const ReferenceStrings& ReferenceStrings::get() {
  static const ReferenceStrings strings = read_strings();
  return strings;
}

void expect_agreement(const Tokenizer& tokenizer, const ReferenceTokenizer& reference) {
  const auto& strings = ReferenceStrings::get().strings;
  ASSERT_EQ(strings.size(), reference.ids.size());
  for (std::size_t i = 0; i < strings.size(); ++i) {
    SCOPED_TRACE("string " + std::to_string(i) + ": " + strings[i]);
    const auto encoding = tokenizer.encode(strings[i]);
    EXPECT_EQ(encoding.ids, reference.ids[i]);
    if (!reference.target_ids.empty()) {
      EXPECT_EQ(tokenizer.on(Side::target).encode(strings[i]).ids, reference.target_ids[i]);
    }
    EXPECT_EQ(tokenizer.encode(strings[i], {.add_special_tokens = false}).ids, reference.ids_no_special[i]);
    EXPECT_EQ(tokenizer.decode(reference.ids[i], true), reference.decoded[i]);
    ASSERT_EQ(encoding.tokens.size(), encoding.ids.size());
    ASSERT_EQ(encoding.offsets.size(), encoding.ids.size());
    ASSERT_EQ(encoding.special.size(), encoding.ids.size());
    for (std::size_t token = 0; token < encoding.ids.size(); ++token) {
      EXPECT_EQ(encoding.tokens[token], tokenizer.token(encoding.ids[token]));
      if (encoding.special[token]) {
        EXPECT_EQ(encoding.offsets[token], (Span{0, 0}));
      }
    }
  }
}

void expect_exact_offsets(const Tokenizer& tokenizer) {
  for (const auto& text : ReferenceStrings::get().strings) {
    SCOPED_TRACE(text);
    const auto encoding = tokenizer.encode(text, {.add_special_tokens = false});
    std::string whole;
    for (std::size_t first = 0; first < encoding.ids.size();) {
      // Tokens that share a character are compared as one: together they are whole characters.
      Span span = encoding.offsets[first];
      std::size_t last = first + 1;
      while (last < encoding.ids.size() && encoding.offsets[last].start < span.end) {
        span.end = std::max(span.end, encoding.offsets[last++].end);
      }
      const TokenIds ids(encoding.ids.begin() + first, encoding.ids.begin() + last);
      EXPECT_EQ(slice_characters(text, span), tokenizer.decode(ids, false));
      whole += slice_characters(text, span);
      first = last;
    }
    EXPECT_EQ(whole, text) << "every character belongs to a token";
  }
}

}  // namespace whence
