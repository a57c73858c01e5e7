#pragma once

#include "whence/block_decomposition.h"

namespace whence {

/// How near each part of a sum comes to the sum: max(0, |whole| - |whole - part|), with norms of order `order`
/// (arXiv:2203.04212, equation 9). Parts [R,n,D], whole [R,D] -> [R,n].
WHENCE_API Tensor proximity(const Tensor& parts, const Tensor& whole, double order);

/// What each row behind an attention is made of, as shares that add up to 1.
struct RowMixture {
  Tensor positions;  ///< [L,K]
  Tensor kept;       ///< [L] of the row that came in, where it is not one of the positions
};

/// Shares by proximity. In a text's own attention, `own`, what is kept of a row is one part with what comes from its
/// own position (arXiv:2203.04212); else it is a part beside the positions (arXiv:2205.11631). A row that no part comes
/// near to is all its own.
WHENCE_API RowMixture mixture_by_proximity(const AttentionParts& parts, bool own, double order);

}  // namespace whence
