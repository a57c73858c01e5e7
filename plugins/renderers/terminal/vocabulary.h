#pragma once

#include <string>
#include <string_view>

#include "whence/attribution_output.h"

namespace whence::terminal {

/// How a vocabulary writes blanks and bytes in its entries.
enum class Vocabulary {
  plain,
  byte_level,  ///< one letter per byte, a leading blank as "Ġ"
  metaspace,   ///< a leading blank as "▁"
};

/// Told from the markers that occur in the sequence's tokens.
Vocabulary vocabulary_of(const SequenceAttribution& sequence);

/// The text that a vocabulary entry stands for; may hold bytes that are no UTF-8 by themselves. Entries of another
/// kind, such as special tokens, come back unchanged.
std::string entry_text(std::string_view entry, Vocabulary vocabulary);

}  // namespace whence::terminal
