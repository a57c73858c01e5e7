#pragma once

#include "whence/tensor.h"

namespace whence::transformer {

/// What the backward of a norm needs of its forward, for rows [..,D].
struct NormTrace {
  Tensor normed;   ///< [..,D] x / rms(x), before the gain
  Tensor inverse;  ///< [..,1] 1 / rms(x)
};

/// Root mean square norm over the last dimension (arXiv:1910.07467).
struct RmsNorm {
  Tensor weight;  ///< [size of the last dimension]
  double epsilon = 1e-6;

  /// [..,D] -> [..,D]; fills `trace` when it is not null.
  Tensor forward(const Tensor& x, NormTrace* trace = nullptr) const;
  /// Cotangents of the output -> of the input, T for every traced row: [..,T,D] -> [..,T,D].
  Tensor pull_back(const NormTrace& trace, const Tensor& cotangents) const;
};

}  // namespace whence::transformer
