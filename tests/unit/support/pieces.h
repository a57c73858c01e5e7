#pragma once

#include "whence/token_text.h"

namespace whence::testing {

/// The text that tokens write one after another; "<...>" are special ones.
inline TokenText pieces(const std::vector<std::string>& each) {
  TokenText text;
  for (const std::string& piece : each) {
    const auto start = std::ssize(text.text);
    text.special.push_back(piece.starts_with("<") && piece.ends_with(">"));
    if (!text.special.back()) text.text += piece;
    text.bytes.push_back({start, std::ssize(text.text)});
  }
  return text;
}

}  // namespace whence::testing
