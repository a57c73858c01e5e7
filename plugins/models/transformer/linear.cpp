#include "linear.h"

#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>

namespace whence::transformer {

Tensor Linear::forward(const Tensor& x) const {
  return at::linear(x, weight, bias.defined() ? std::optional<Tensor>(bias) : std::nullopt);
}

Tensor Linear::pull_back(const Tensor& cotangents) const { return at::matmul(cotangents, weight); }

void Linear::add_pull_back(const Tensor& cotangents, Tensor& sum) const {
  sum.view({-1, weight.size(1)}).addmm_(cotangents.reshape({-1, weight.size(0)}), weight);
}

}  // namespace whence::transformer
