#include "word_pieces.h"

#include <nlohmann/json.hpp>

#include "merges_file.h"
#include "text_utf8.h"

namespace whence {
namespace {

constexpr const char* kWordEnd = "</w>";
constexpr const char* kUnknown = "<unk>";  // no merge makes it, since Moses writes < in another way

}  // namespace

WordPieces::WordPieces(const std::filesystem::path& merges) {
  // The library merges ids: every token of the list gets one of its own.
  nlohmann::json vocab = {{kUnknown, 0}}, pairs = nlohmann::json::array();
  for (const Merge& merge : read_merges_file(merges, true)) {
    for (const std::string& token : {merge.left, merge.right, merge.left + merge.right})
      if (!vocab.contains(token)) vocab[token] = vocab.size();
    pairs.push_back({merge.left, merge.right});
  }
  const nlohmann::json whole = {{"version", "1.0"},
                                {"model",
                                 {{"type", "BPE"},
                                  {"unk_token", kUnknown},
                                  {"end_of_word_suffix", kWordEnd},
                                  {"vocab", std::move(vocab)},
                                  {"merges", std::move(pairs)}}}};
  merger_ = std::make_unique<HfTokenizer>(whole.dump(), merges.string(), TokenizerChanges{}, SpecialTokens{});
}

std::vector<WordPiece> WordPieces::cut(std::string_view word) const {
  const Encoding encoding = merger_->encode(word);
  const auto starts = character_starts(word);
  std::vector<WordPiece> pieces;
  for (const Span& span : encoding.offsets) {
    std::string text(word.substr(starts[span.start], starts[span.end] - starts[span.start]));
    if (span.end + 1 == std::ssize(starts)) text += kWordEnd;
    pieces.push_back({std::move(text), span});
  }
  return pieces;
}

}  // namespace whence
