#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "whence/export.h"
#include "whence/sequence.h"

namespace whence {

/// How a vocabulary writes blanks and bytes in its entries.
enum class Vocabulary {
  plain,
  byte_level,  ///< one letter per byte, a leading blank as "Ġ"
  metaspace,   ///< a leading blank as "▁", a byte as "<0x0A>"
  word_end,    ///< the last piece of a word ends in "</w>"
  word_piece,  ///< all pieces of a word but the first begin with "##"
};

/// Told from the markers that occur in the tokens of a text, or of both texts of a pair.
WHENCE_API Vocabulary vocabulary_of(const std::vector<Token>& tokens, const std::vector<Token>& others = {});

/// The text that a vocabulary entry stands for; may hold bytes that are no UTF-8 by themselves. Entries of another
/// kind, such as special tokens, come back unchanged.
WHENCE_API std::string entry_text(std::string_view entry, Vocabulary vocabulary);

/// "<s>", "<|endoftext|>", "[SEP]": how special tokens are written. Not "<0x0A>", which is a byte of the text.
WHENCE_API bool looks_special(std::string_view entry);

}  // namespace whence
