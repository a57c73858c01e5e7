#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "whence/tokenizer.h"

namespace whence {

/// Where a multilingual checkpoint writes the language of a text.
enum class LanguagePlace {
  before,          ///< code, text, end
  after,           ///< text, end, code
  before_but_end,  ///< source: code, text, end; target: end, code, text, end
};

/// The languages of a checkpoint.
struct Languages {
  LanguagePlace place = LanguagePlace::before;
  std::string end = "</s>";           ///< the token at the end
  bool underscored = false;           ///< the token of "en" is "__en__", else it is the code itself
  std::vector<std::string> codes;     ///< all that are known, for messages; may be empty
  std::string source;                 ///< language of texts on the source side
  std::optional<std::string> target;  ///< on the target side; none: every text has to name its own
};

/// Throws InputError for a text that names a language, where a tokenizer has none.
void require_no_language(const EncodeOptions& options);

/// Puts the end token and the token of the language around the tokens that `inner` makes without special tokens.
/// This is the source side. Throws ModelError when the vocabulary lacks the end token or one of the languages.
std::unique_ptr<Tokenizer> with_languages(std::unique_ptr<Tokenizer> inner, Languages languages,
                                          const std::string& origin);

}  // namespace whence
