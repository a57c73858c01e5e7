#include "whence/block_decomposition.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/bmm.h>

#include <algorithm>

namespace whence {
namespace {

/// Numbers that rows worked on together may take.
constexpr std::int64_t kNumbersAtOnce = std::int64_t{1} << 22;

}  // namespace

BlockDecomposition::~BlockDecomposition() = default;

Tensor AttentionParts::of_positions(std::int64_t first, std::int64_t count) const {
  const Tensor factors = weights.narrow(1, first, count) * scale.narrow(0, first, count).view({1, -1, 1});
  // For each position a product over heads: [K,count,H] x [K,H,D].
  return at::bmm(factors.permute({2, 1, 0}), vectors.transpose(0, 1)).transpose(0, 1);
}

std::int64_t AttentionParts::rows_at_once(std::int64_t vectors_of_position) const {
  const std::int64_t row = weights.size(2) * vectors_of_position * vectors.size(2);
  return std::clamp<std::int64_t>(kNumbersAtOnce / std::max<std::int64_t>(1, row), 1, weights.size(1));
}

}  // namespace whence
