#pragma once

#include "whence/tensor.h"

namespace whence::transformer {

/// y = x W^T + b over the last dimension.
struct Linear {
  Tensor weight;  ///< [out, in]
  Tensor bias;    ///< [out] or undefined

  Tensor forward(const Tensor& x) const;
};

}  // namespace whence::transformer
