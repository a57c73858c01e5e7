#include "word_spans.h"

#include <algorithm>

using whence::Span;
using whence::Token;

namespace {

bool any_contains(const std::vector<Token>& tokens, const std::string& marker) {
  return std::any_of(tokens.begin(), tokens.end(),
                     [&](const Token& token) { return token.text.find(marker) != std::string::npos; });
}

/// "<s>", "<|endoftext|>", "[SEP]"; but not "<0x0A>", which is how SentencePiece writes a byte of the text.
bool looks_special(const std::string& text) {
  if (text.size() < 3 || text.starts_with("<0x")) return false;
  return (text.front() == '<' && text.back() == '>') || (text.front() == '[' && text.back() == ']');
}

bool starts_word(const Token& token, const WordMarking& marking) {
  const bool marked = std::any_of(marking.markers.begin(), marking.markers.end(),
                                  [&](const std::string& marker) { return token.text.starts_with(marker); });
  return marked != marking.continues;
}

}  // namespace

std::vector<std::string> detect_markers(const std::vector<Token>& tokens) {
  if (any_contains(tokens, "▁")) return {"▁"};
  if (any_contains(tokens, "Ġ") || any_contains(tokens, "Ċ")) return {"Ġ", "Ċ"};
  return {};
}

std::vector<Span> word_spans(const std::vector<Token>& tokens, const WordMarking& marking) {
  if (std::none_of(marking.markers.begin(), marking.markers.end(),
                   [&](const std::string& marker) { return any_contains(tokens, marker); }))
    return {};
  std::vector<Span> words;
  std::int64_t start = 0;
  const auto end_word = [&](std::int64_t end) {
    if (end - start > 1) words.push_back({start, end});
    start = end;
  };
  for (std::int64_t i = 1; i < std::ssize(tokens); ++i) {
    const bool beside_special =
        !marking.as_reference && (looks_special(tokens[i].text) || looks_special(tokens[i - 1].text));
    if (beside_special || starts_word(tokens[i], marking)) end_word(i);
  }
  end_word(std::ssize(tokens) - (marking.as_reference ? 1 : 0));
  return words;
}
