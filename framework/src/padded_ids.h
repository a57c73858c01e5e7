#pragma once

#include <vector>

#include "whence/batch.h"
#include "whence/tokenizer.h"

namespace whence {

/// Sequences of ids padded at the right with zeros.
PaddedIds padded_ids(const std::vector<TokenIds>& rows);

}  // namespace whence
