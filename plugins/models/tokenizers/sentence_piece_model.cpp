#include "sentence_piece_model.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "foreign_text.h"
#include "text_utf8.h"
#include "whence/error.h"

namespace whence {
namespace {

constexpr std::size_t kMaxPieces = std::size_t{1} << 22;  ///< beyond anything real

}  // namespace

SentencePieceModel read_sentence_piece_model(std::string_view bytes, const std::filesystem::path& file) {
  const auto fail = [&](const std::string& what) -> void {
    throw ModelError(file.string() + ": " + what + "; fetch the file again");
  };
  ForeignText description, message;
  if (whence_sentencepiece_describe(bytes.data(), bytes.size(), &description, &message) != WhenceTokenizerStatus::ok)
    fail("not a sentencepiece model, " + message.string());
  const auto json = nlohmann::json::parse(description.view());
  SentencePieceModel model;
  const auto type = json.at("type").get<int>();
  if (type != 1 && type != 2)
    fail("expected a unigram (1) or BPE (2) model of sentencepiece, found type " + std::to_string(type));
  model.is_unigram = type == 1;
  model.unknown_id = json.at("unknown_id");
  model.unknown_piece = json.at("unknown_piece");
  model.charsmap = json.at("charsmap");
  const auto& pieces = json.at("pieces");
  if (pieces.empty() || pieces.size() > kMaxPieces)
    fail("expected 1 to " + std::to_string(kMaxPieces) + " pieces, found " + std::to_string(pieces.size()));
  if (model.unknown_id < 0 || model.unknown_id >= static_cast<std::int64_t>(pieces.size()))
    fail("expected an unknown piece below " + std::to_string(pieces.size()) + ", found id " +
         std::to_string(model.unknown_id));
  for (const auto& piece : pieces) {
    const auto place = "piece " + std::to_string(model.pieces.size());
    if (piece[0].get_ref<const std::string&>().empty()) fail(place + " is empty");
    if (!piece[1].is_number()) fail(place + " has a score that is no number");
    model.pieces.push_back({piece[0], piece[1], static_cast<TokenType>(piece[2].get<std::int64_t>())});
  }
  return model;
}

std::string checked_charsmap(std::string_view map) {
  ForeignText text, message;
  if (whence_sentencepiece_charsmap(map.data(), map.size(), &text, &message) != WhenceTokenizerStatus::ok)
    throw ModelError(message.string());
  return text.string();
}

std::vector<PieceMerge> scored_merges(const std::vector<SentencePiece>& pieces, bool normal_only) {
  const auto is_usable = [&](const SentencePiece& piece) { return !normal_only || piece.type == TokenType::normal; };
  struct Scored {
    PieceMerge merge;
    std::size_t left_size, right_size;  // in characters
    double score;
  };
  std::unordered_map<std::string_view, const SentencePiece*> known;
  for (const auto& piece : pieces) known.emplace(piece.text, &piece);
  const auto usable = [&](std::string_view text) {
    const auto found = known.find(text);
    return found != known.end() && is_usable(*found->second);
  };
  std::vector<Scored> scored;
  for (const auto& piece : pieces) {
    if (!is_usable(piece)) continue;
    const std::string_view text = piece.text;
    const auto starts = character_starts(text);
    const auto size = starts.size() - 1;
    for (std::size_t cut = 1; cut < size; ++cut) {
      const auto left = text.substr(0, starts[cut]), right = text.substr(starts[cut]);
      if (usable(left) && usable(right)) scored.push_back({{left, right}, cut, size - cut, piece.score});
    }
  }
  std::stable_sort(scored.begin(), scored.end(), [](const Scored& a, const Scored& b) {
    if (a.score != b.score) return a.score > b.score;
    if (a.left_size != b.left_size) return a.left_size > b.left_size;
    return a.right_size > b.right_size;
  });
  std::vector<PieceMerge> merges;
  merges.reserve(scored.size());
  for (const auto& entry : scored) merges.push_back(entry.merge);
  return merges;
}

}  // namespace whence
