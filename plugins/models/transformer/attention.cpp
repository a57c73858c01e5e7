#include "attention.h"

#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/softmax.h>

#include <cmath>
#include <limits>

namespace whence::transformer {
namespace {

Tensor split_heads(const Tensor& x, std::int64_t heads, std::int64_t size) {
  return x.view({x.size(0), x.size(1), heads, size}).transpose(1, 2);
}

/// Attention weights written out, for when somebody wants to see them.
Tensor softmax_weights(const Tensor& query, const Tensor& key, const AttentionMask& mask) {
  Tensor scores = at::matmul(query, key.transpose(2, 3)) * (1 / std::sqrt(static_cast<double>(query.size(3))));
  Tensor visible = mask.visible;
  if (mask.causal) visible = at::ones({query.size(2), key.size(2)}, at::kBool).tril();
  if (visible.defined()) scores = scores.masked_fill(visible.logical_not(), -std::numeric_limits<double>::infinity());
  return at::softmax(scores, -1);
}

}  // namespace

Tensor Attention::forward(const Tensor& x, const AttentionContext& context) const {
  Tensor q = split_heads(query.forward(x), heads, head_size);
  Tensor k = split_heads(key.forward(x), key_value_heads, head_size);
  Tensor v = split_heads(value.forward(x), key_value_heads, head_size);
  if (query_norm) q = query_norm->forward(q);
  if (key_norm) k = key_norm->forward(k);
  if (context.rotary) {
    q = rotate(q, *context.rotary);
    k = rotate(k, *context.rotary);
  }
  if (context.cache) std::tie(k, v) = context.cache->append(context.layer, k, v);

  const AttentionMask& mask = *context.mask;
  Tensor mixed;
  if (context.weights) {
    const std::int64_t group = heads / key_value_heads;
    const Tensor weights = softmax_weights(q, k.repeat_interleave(group, 1), mask);
    *context.weights = weights.detach();
    mixed = at::matmul(weights, v.repeat_interleave(group, 1));
  } else {
    const auto visible = mask.visible.defined() ? std::optional<Tensor>(mask.visible) : std::nullopt;
    mixed = at::scaled_dot_product_attention(q, k, v, visible, /*dropout_p=*/0.0, mask.causal, /*scale=*/std::nullopt,
                                             /*enable_gqa=*/heads != key_value_heads);
  }
  return output.forward(mixed.transpose(1, 2).reshape({x.size(0), x.size(1), heads * head_size}));
}

}  // namespace whence::transformer
