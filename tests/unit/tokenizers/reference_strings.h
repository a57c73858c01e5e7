#pragma once

#include <map>
#include <string>
#include <vector>

#include "whence/tokenizer.h"

namespace whence {

/// What one tokenizer of the reference made of every string.
struct ReferenceTokenizer {
  std::vector<TokenIds> ids;  ///< with special tokens
  std::vector<TokenIds> ids_no_special;
  std::vector<std::string> decoded;  ///< of `ids`, special tokens skipped
  std::vector<TokenIds> target_ids;  ///< empty where the target side is no other
};

/// tests/data/cases/tokenizers.json.
struct ReferenceStrings {
  std::vector<std::string> strings;
  std::map<std::string, ReferenceTokenizer> tokenizers;

  static const ReferenceStrings& get();
};

/// Expects ids, ids without special tokens and decoded text of every string to be those of the reference.
void expect_agreement(const Tokenizer& tokenizer, const ReferenceTokenizer& reference);

/// Expects of a byte-level tokenizer that does not normalise: the characters at a token's offsets are its text, and a
/// token that is a part of a character has the offsets of that character.
void expect_exact_offsets(const Tokenizer& tokenizer);

}  // namespace whence
