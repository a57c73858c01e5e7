#pragma once

#include <vector>

#include "host/context_sensitivity.h"

namespace whence::host {

/// For each selected token (indices of `tokens`, by falling sensitivity) the id of the token that would have come
/// without context: the first of a given word, or what the model writes behind the contextless text, for all of them in
/// shared batches. Throws InputError for another number of words than tokens, and where nobody answers.
TokenIds contextless_next_tokens(const ContextTask& task, const ReadTexts& without,
                                 const std::vector<OutputToken>& tokens, const std::vector<std::int64_t>& selected);

}  // namespace whence::host
