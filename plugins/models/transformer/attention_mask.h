#pragma once

#include "whence/tensor.h"

namespace whence::transformer {

/// Which keys a query sees.
struct AttentionMask {
  Tensor visible;       ///< [n, keys] bool, or undefined
  bool causal = false;  ///< without `visible`: true hides later keys, false hides none
};

/// For queries at positions [start, start + count) and keys at [0, start + count): each sees itself and the keys before
/// it, at most `window` in all when that is not 0.
AttentionMask attention_mask(std::int64_t start, std::int64_t count, std::int64_t window);

}  // namespace whence::transformer
