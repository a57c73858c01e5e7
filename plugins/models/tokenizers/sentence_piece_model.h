#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace whence {

/// The types of entries in a sentencepiece vocabulary; GGUF files number them the same way.
enum class TokenType : std::int64_t { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

struct SentencePiece {
  std::string text;
  double score = 0;
  TokenType type = TokenType::normal;
};

/// What a sentencepiece model file says.
struct SentencePieceModel {
  bool is_unigram = true;  ///< else BPE
  std::int64_t unknown_id = 0;
  std::string unknown_piece;
  std::string charsmap;  ///< precompiled normalisation in base64; empty for none
  std::vector<SentencePiece> pieces;
};

/// A precompiled normalisation map in base64. Throws ModelError when it is damaged.
std::string checked_charsmap(std::string_view map);

/// Reads `bytes`, the content of `file`. Throws ModelError when it is damaged or of another kind (words, characters).
SentencePieceModel read_sentence_piece_model(std::string_view bytes, const std::filesystem::path& file);

/// SentencePiece joins the two neighbours whose joint piece has the best score. As a list of merges: every way to put a
/// piece together from two others, best score first; ties as in the conversion of transformers, longer parts first.
/// With `normal_only`, pieces of other types are left out.
struct PieceMerge {
  std::string_view left, right;  ///< views into `pieces`
};
std::vector<PieceMerge> scored_merges(const std::vector<SentencePiece>& pieces, bool normal_only);

}  // namespace whence
