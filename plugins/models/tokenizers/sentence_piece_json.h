#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sentence_piece_model.h"

namespace whence {

/// Where a space is put before a text: before every part of it, only at its start, or nowhere.
enum class Prepends { always, first, never };

/// How a tokenizer comes from spaces to U+2581 and back.
enum class Spaces {
  sentence_piece,  ///< normalised first; runs of spaces count once, words are cut at them
  metaspace,       ///< as they are, not cut
  replaced,        ///< in the normaliser
  gemma            ///< in the normaliser, nothing is put before the text
};

/// A sentencepiece vocabulary as a description for the Hugging Face tokenizers library.
struct SentencePieceJson {
  bool is_unigram = true;  ///< else BPE
  std::vector<SentencePiece> pieces;
  std::int64_t unknown_id = 0;
  std::optional<std::string> unknown_piece;  ///< of BPE
  std::string charsmap;                      ///< precompiled normalisation in base64; empty for none
  Spaces spaces = Spaces::sentence_piece;
  Prepends prepends = Prepends::always;
  bool splits_white_space = false;
  bool byte_fallback = false;
  bool merges_normal_only = false;  ///< of BPE: only pieces of the type normal are put together
};

/// As tokenizer.json; without added tokens and post-processor.
std::string to_json(const SentencePieceJson& description);

}  // namespace whence
