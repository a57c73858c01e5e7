#pragma once

#include <map>
#include <string>
#include <vector>

#include "whence/tokenizer.h"

namespace whence {

/// What one tokenizer of the reference made of every string.
struct ReferenceTokenizer {
  std::vector<TokenIds> ids;             ///< with special tokens
  std::vector<TokenIds> ids_no_special;
  std::vector<std::string> decoded;      ///< of `ids`, special tokens skipped
};

/// tests/data/cases/tokenizers.json.
struct ReferenceStrings {
  std::vector<std::string> strings;
  std::map<std::string, ReferenceTokenizer> tokenizers;

  static const ReferenceStrings& get();
};

/// The characters [span.start, span.end) of a UTF-8 text.
std::string slice_characters(const std::string& text, const Span& span);

/// Number of characters of a UTF-8 text.
std::int64_t count_characters(const std::string& text);

/// Expects ids, ids without special tokens and decoded text of every string to be those of the reference.
void expect_agreement(const Tokenizer& tokenizer, const ReferenceTokenizer& reference);

}  // namespace whence
