#pragma once

#include "whence/tensor.h"

namespace whence::transformer {

/// y = x W^T + b over the last dimension.
struct Linear {
  Tensor weight;  ///< [out, in]
  Tensor bias;    ///< [out] or undefined

  Tensor forward(const Tensor& x) const;
  /// Cotangents of the output -> of the input: [..,out] -> [..,in].
  Tensor pull_back(const Tensor& cotangents) const;
  /// Adds `pull_back(cotangents)` to `sum`, contiguous [..,in].
  void add_pull_back(const Tensor& cotangents, Tensor& sum) const;
};

}  // namespace whence::transformer
