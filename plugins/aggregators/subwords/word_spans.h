#pragma once

#include <string>
#include <vector>

#include "whence/sequence.h"

/// How the pieces of a word are told from the first one.
struct WordMarking {
  std::vector<std::string> markers;  ///< what marked tokens begin with, e.g. "▁"
  bool continues = false;            ///< a marked token continues a word ("##") instead of starting one
  /// The last word loses its last piece, and special tokens belong to the word before them.
  bool as_reference = false;
};

/// Markers that the tokens use themselves: "▁" (SentencePiece), else "Ġ" and "Ċ" (byte-level BPE), else none.
std::vector<std::string> detect_markers(const std::vector<whence::Token>& tokens);

/// Spans of the words that consist of more than one token, ascending; none when no token has a marker. Special tokens
/// such as "</s>" or "<|im_end|>" stand alone.
std::vector<whence::Span> word_spans(const std::vector<whence::Token>& tokens, const WordMarking& marking);
