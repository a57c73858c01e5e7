#pragma once

#include "whence/tensor.h"

namespace whence::transformer {

/// Root mean square norm over the last dimension (arXiv:1910.07467).
struct RmsNorm {
  Tensor weight;  ///< [size of the last dimension]
  double epsilon = 1e-6;

  Tensor forward(const Tensor& x) const;
};

}  // namespace whence::transformer
