#include "norm.h"

#include <ATen/ops/rms_norm.h>

namespace whence::transformer {

Tensor RmsNorm::forward(const Tensor& x) const { return at::rms_norm(x, weight.sizes(), weight, epsilon); }

}  // namespace whence::transformer
