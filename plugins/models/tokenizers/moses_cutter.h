#pragma once

#include <memory>
#include <string>

#include "piece_tokenizer.h"
#include "word_pieces.h"

namespace whence {

/// What FSMT's and BioGPT's tokenizers do to a text before its ids are looked up.
struct MosesStyle {
  std::string language;     ///< "de", "en" or "ru"
  bool normalizes = false;  ///< punctuation is made plain first, as FSMT does
};

/// Cuts into words with the Moses rules, and those into pieces.
std::shared_ptr<const TextCutter> moses_cutter(std::shared_ptr<const WordPieces> pieces, const MosesStyle& style);

}  // namespace whence
