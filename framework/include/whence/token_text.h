#pragma once

#include <string>
#include <vector>

#include "whence/export.h"
#include "whence/sequence.h"
#include "whence/tensor.h"
#include "whence/tokenizer.h"

namespace whence {

/// The text that the tokens of one text write, and where each of them writes it.
struct TokenText {
  std::string text;           ///< UTF-8, special tokens left out
  std::vector<Span> bytes;    ///< of `text`, one span for each token, ascending; tokens that share a character share it
  std::vector<bool> special;  ///< these write nothing
};

/// By decoding, for whatever vocabulary the tokenizer has. Throws InputError for ids outside of it.
WHENCE_API TokenText token_text(const Tokenizer& tokenizer, const TokenIds& ids);

/// By the markers of vocabulary entries, where the tokenizer is not at hand, as in stored results.
WHENCE_API TokenText token_text(const std::vector<Token>& tokens);

}  // namespace whence
