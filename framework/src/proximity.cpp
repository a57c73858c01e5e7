#include "whence/proximity.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cdist.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

namespace whence {
namespace {

/// Differences of the vectors themselves, not of their products.
constexpr std::int64_t kPlainDistance = 2;

}  // namespace

Tensor proximity(const Tensor& parts, const Tensor& whole, double order) {
  const Tensor distance = at::cdist(parts, whole.unsqueeze(1), order, kPlainDistance).squeeze(-1);
  return (at::linalg_vector_norm(whole, order, -1, /*keepdim=*/true) - distance).clamp_min(0);
}

RowMixture mixture_by_proximity(const AttentionParts& parts, bool own, double order) {
  const std::int64_t rows = parts.weights.size(1), keys = parts.weights.size(2);
  Tensor near = at::zeros({rows, own ? keys : keys + 1});
  const std::int64_t together = parts.rows_at_once();
  for (std::int64_t first = 0; first < rows; first += together) {
    const std::int64_t count = std::min(together, rows - first);
    Tensor of_positions = parts.of_positions(first, count);
    const Tensor kept = parts.kept.narrow(0, first, count);
    if (own)
      of_positions =
          of_positions.index_put({at::arange(count), at::arange(first, first + count)}, kept, /*accumulate=*/true);
    else
      of_positions = at::cat({of_positions, kept.unsqueeze(1)}, 1);
    near.narrow(0, first, count).copy_(proximity(of_positions, parts.output.narrow(0, first, count), order));
  }
  Tensor itself = own ? at::eye(rows) : at::zeros({rows, keys + 1});
  if (!own) itself.select(1, keys).fill_(1);
  const Tensor sum = near.sum(1, /*keepdim=*/true);
  const Tensor shares = at::where(sum > 0, near / sum.masked_fill(sum <= 0, 1), itself);
  if (own) return {shares, at::zeros({rows})};
  return {shares.narrow(1, 0, keys), shares.select(1, keys)};
}

}  // namespace whence
