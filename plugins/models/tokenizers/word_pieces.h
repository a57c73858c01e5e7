#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "hf_tokenizer.h"

namespace whence {

/// A piece of a word, in characters of the word.
struct WordPiece {
  std::string text;  ///< the last one of a word ends in </w>
  Span characters;
};

/// Byte-pair encoding by a list of merges alone, whether or not a vocabulary has the pieces.
class WordPieces {
 public:
  /// Throws ModelError for a damaged file.
  explicit WordPieces(const std::filesystem::path& merges);

  /// `word` is not empty.
  std::vector<WordPiece> cut(std::string_view word) const;

 private:
  std::unique_ptr<const HfTokenizer> merger_;
};

}  // namespace whence
