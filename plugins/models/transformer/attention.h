#pragma once

#include <optional>

#include "attention_mask.h"
#include "key_value_cache.h"
#include "linear.h"
#include "norm.h"
#include "rotary.h"

namespace whence::transformer {

/// What one attention layer shares with the rest of a pass.
struct AttentionContext {
  std::size_t layer = 0;
  const AttentionMask* mask = nullptr;
  const RotaryTable* rotary = nullptr;  ///< null: this layer knows no positions
  KeyValueCache* cache = nullptr;       ///< null: the keys are those of the input
  Tensor* weights = nullptr;            ///< filled with [B,H,n,keys] when not null
};

/// Self-attention with grouped key and value heads (arXiv:2305.13245).
struct Attention {
  Linear query, key, value, output;
  std::optional<RmsNorm> query_norm, key_norm;  ///< over each head, before positions
  std::int64_t heads = 0, key_value_heads = 0, head_size = 0;

  /// [B,n,D] -> [B,n,D].
  Tensor forward(const Tensor& x, const AttentionContext& context) const;
};

}  // namespace whence::transformer
