#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hf_tokenizer.h"
#include "whence/tokenizer.h"

namespace whence {

/// A piece of text as a vocabulary writes it, and the bytes it stands for.
struct TextPiece {
  std::string text;
  std::size_t start = 0, end = 0;
};

/// Cuts texts into pieces and joins them again. Immutable.
class TextCutter {
 public:
  virtual ~TextCutter() = default;
  virtual std::vector<TextPiece> cut(std::string_view text) const = 0;
  /// `is_special` tells which of the pieces are special tokens.
  virtual std::string join(const std::vector<std::string>& pieces, const std::vector<bool>& is_special) const = 0;
};

/// The ids of pieces: those of a vocab.json, and tokens that are cut out of the text first.
struct PieceVocabulary {
  nlohmann::json ids;                  ///< by token
  std::vector<AddedToken> added;       ///< cut out of the text; those that `ids` lacks get the next ids
  std::vector<std::string> languages;  ///< tokens with the ids after those of `ids`, not cut out of texts
  std::optional<std::string> bos, eos, unknown, pad;
  TextFrame frame;          ///< tokens around every text
  bool lower_case = false;  ///< texts are lower-cased first, apart from special tokens
};

/// One side of a tokenizer that cuts with one library and takes the ids from a file beside it, as the slow tokenizers
/// of transformers do.
struct PieceSide {
  std::shared_ptr<const TextCutter> cutter;
  PieceVocabulary vocabulary;
  std::string origin;  ///< for messages
};

/// The source side, which is also the target side where that is empty. Throws ModelError when a vocabulary lacks its
/// unknown token, or one of the frame.
std::unique_ptr<Tokenizer> piece_tokenizer(PieceSide source, std::optional<PieceSide> target);

}  // namespace whence
