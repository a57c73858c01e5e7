#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "whence/tokenizer.h"

namespace whence::host {

/// A token as it is compared with others.
struct AlignableToken {
  std::int64_t id = -1;
  std::u32string word;   ///< what it writes, in small letters and without blanks
  bool special = false;  ///< never stands for a token that writes something
};

std::vector<AlignableToken> alignable_tokens(const Tokenizer& tokenizer, const TokenIds& ids);

/// How well one token stands for another: 100 the same token, 90 the same word, else 50 times the share of letters that
/// both have, in order (twice the common ones over all), where that is half or more, and 0 for others. Empty: they are
/// never paired.
std::optional<int> likeness(const AlignableToken& one, const AlignableToken& other);

/// For every token of `text` the position in `other` of the token that stands for it, or -1. No two pairs cross, and
/// the sum of likenesses is the largest there is (Needleman and Wunsch 1970, without a cost for gaps). Of equal sums it
/// is that which pairs what both texts begin and end with, then early tokens; where a token of either text must go
/// without, one of `other` does first. Throws InputError for texts that differ in too many tokens.
std::vector<std::int64_t> align_tokens(const std::vector<AlignableToken>& text,
                                       const std::vector<AlignableToken>& other);

}  // namespace whence::host
