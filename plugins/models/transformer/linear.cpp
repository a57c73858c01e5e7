#include "linear.h"

#include <ATen/ops/linear.h>

namespace whence::transformer {

Tensor Linear::forward(const Tensor& x) const {
  return at::linear(x, weight, bias.defined() ? std::optional<Tensor>(bias) : std::nullopt);
}

}  // namespace whence::transformer
