#pragma once

#include <optional>

#include "attention_mask.h"
#include "key_value_cache.h"
#include "linear.h"
#include "norm.h"
#include "rotary.h"

namespace whence::transformer {

/// What the backward of an attention layer needs of its forward. The weights are not kept: they are made again from
/// queries and keys, since n^2 of them a head outgrow everything else in long texts.
struct AttentionTrace {
  Tensor query, key, value;        ///< [B,H or KV,n,head], after norms and positions
  NormTrace query_norm, key_norm;  ///< of layers that have these norms
  Tensor mixed;                    ///< [B,H,n,head] values mixed by the weights

  /// The part for sequences [first, first + count) and their first `length` rows.
  AttentionTrace slice(std::int64_t first, std::int64_t count, std::int64_t length) const;
};

/// What one attention layer shares with the rest of a pass.
struct AttentionContext {
  std::size_t layer = 0;
  const AttentionMask* mask = nullptr;
  const RotaryTable* rotary = nullptr;  ///< null: this layer knows no positions
  KeyValueCache* cache = nullptr;       ///< null: the keys are those of the input
  Tensor* weights = nullptr;            ///< filled with [B,H,n,keys] when not null
  AttentionTrace* trace = nullptr;      ///< filled when not null
};

/// Self-attention with grouped key and value heads (arXiv:2305.13245).
struct Attention {
  Linear query, key, value, output;
  std::optional<RmsNorm> query_norm, key_norm;  ///< over each head, before positions
  std::int64_t heads = 0, key_value_heads = 0, head_size = 0;

  /// [B,n,D] -> [B,n,D].
  Tensor forward(const Tensor& x, const AttentionContext& context) const;
  /// Cotangents of the mixed values -> of the input, T for every row: [B,n,T,H*head] -> [B,n,T,D]. The output
  /// projection comes before, since in the last block only some of its rows have cotangents. `mask` and `rotary` are
  /// those of the forward.
  Tensor pull_back(const AttentionTrace& trace, const AttentionMask& mask, const RotaryTable* rotary,
                   const Tensor& cotangents) const;
};

}  // namespace whence::transformer
