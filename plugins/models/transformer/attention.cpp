#include "attention.h"

#include <ATen/ops/bmm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/sum.h>

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
  AttentionTrace* trace = context.trace;
  if (query_norm) q = query_norm->forward(q, trace ? &trace->query_norm : nullptr);
  if (key_norm) k = key_norm->forward(k, trace ? &trace->key_norm : nullptr);
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
  if (trace) trace->query = q, trace->key = k, trace->value = v, trace->mixed = mixed;
  return output.forward(mixed.transpose(1, 2).reshape({x.size(0), x.size(1), heads * head_size}));
}

AttentionTrace AttentionTrace::slice(std::int64_t first, std::int64_t count, std::int64_t length) const {
  const auto part = [&](const Tensor& x) {
    return x.defined() ? x.narrow(0, first, count).narrow(2, 0, length).contiguous() : x;
  };
  return {part(query),
          part(key),
          part(value),
          {part(query_norm.normed), part(query_norm.inverse)},
          {part(key_norm.normed), part(key_norm.inverse)},
          part(mixed)};
}

Tensor Attention::pull_back(const AttentionTrace& trace, const AttentionMask& mask, const RotaryTable* rotary,
                            const Tensor& cotangents) const {
  const std::int64_t batch = cotangents.size(0), rows = cotangents.size(1), steps = cotangents.size(2);
  const std::int64_t groups = batch * key_value_heads, sharing = heads / key_value_heads;
  const double scale = 1 / std::sqrt(static_cast<double>(head_size));
  // Query heads that share a key head stand in one matrix, so that sums over them are part of the products.
  const std::int64_t queries = sharing * rows;
  const Tensor mixed_cotangents =
      cotangents.view({batch, rows, steps, heads, head_size}).permute({0, 3, 1, 2, 4}).contiguous();  // [B,H,n,T,head]
  const Tensor weights =
      softmax_weights(trace.query, trace.key.repeat_interleave(sharing, 1), mask).view({groups, queries, rows});
  const Tensor value_cotangents =
      at::bmm(weights.transpose(1, 2), mixed_cotangents.view({groups, queries, steps * head_size}));  // [.,n,T*head]

  // Through the softmax: ds = p (dp - sum_k p dp), and the sum is do . o.
  Tensor scores = at::bmm(mixed_cotangents.view({groups, queries * steps, head_size}),
                          trace.value.reshape({groups, rows, head_size}).transpose(1, 2));
  const Tensor along = (mixed_cotangents * trace.mixed.unsqueeze(3)).sum(-1);
  scores = scores.view({groups, queries, steps, rows});
  scores.sub_(along.view({groups, queries, steps, 1})).mul_((weights * scale).unsqueeze(2));

  Tensor query_cotangents =
      at::bmm(scores.view({groups, queries * steps, rows}), trace.key.reshape({groups, rows, head_size}))
          .view({batch, heads, rows, steps, head_size});
  Tensor key_cotangents = at::bmm(scores.view({groups, queries, steps * rows}).transpose(1, 2),
                                  trace.query.reshape({groups, queries, head_size}))
                              .view({batch, key_value_heads, steps, rows, head_size})
                              .transpose(2, 3);
  if (rotary) {
    // A turn is orthogonal but for its amplitude: its transpose turns back.
    const RotaryTable back{rotary->cosine.unsqueeze(3), rotary->sine.neg().unsqueeze(3)};
    query_cotangents = rotate(query_cotangents, back);
    key_cotangents = rotate(key_cotangents, back);
  }
  if (query_norm) query_cotangents = query_norm->pull_back(trace.query_norm, query_cotangents);
  if (key_norm) key_cotangents = key_norm->pull_back(trace.key_norm, key_cotangents);

  const auto rows_first = [&](const Tensor& x) {
    return x.permute({0, 2, 3, 1, 4}).reshape({batch, rows, steps, x.size(1) * head_size});
  };
  Tensor result = query.pull_back(rows_first(query_cotangents));
  key.add_pull_back(rows_first(key_cotangents), result);
  value.add_pull_back(rows_first(value_cotangents.view({batch, key_value_heads, rows, steps, head_size})), result);
  return result;
}

}  // namespace whence::transformer
