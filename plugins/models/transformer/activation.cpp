#include "activation.h"

#include <ATen/ops/gelu.h>
#include <ATen/ops/gelu_backward.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/silu_backward.h>
#include <ATen/ops/threshold_backward.h>

namespace whence::transformer {

const std::vector<std::string>& activation_names() {
  static const std::vector<std::string> kNames = {"silu", "swish", "gelu", "gelu_new", "gelu_pytorch_tanh", "relu"};
  return kNames;
}

Activation activation_of(std::size_t index) {
  static constexpr Activation kActivations[] = {Activation::silu,      Activation::silu,      Activation::gelu,
                                                Activation::gelu_tanh, Activation::gelu_tanh, Activation::relu};
  return kActivations[index];
}

Tensor activate(Activation activation, const Tensor& x) {
  switch (activation) {
    case Activation::silu:
      return at::silu(x);
    case Activation::gelu:
      return at::gelu(x);
    case Activation::gelu_tanh:
      return at::gelu(x, "tanh");
    case Activation::relu:
      return at::relu(x);
  }
  return {};
}

Tensor activation_slope(Activation activation, const Tensor& x, const Tensor& factor) {
  switch (activation) {
    case Activation::silu:
      return at::silu_backward(factor, x);
    case Activation::gelu:
      return at::gelu_backward(factor, x);
    case Activation::gelu_tanh:
      return at::gelu_backward(factor, x, "tanh");
    case Activation::relu:
      return at::threshold_backward(factor, x, 0);
  }
  return {};
}

}  // namespace whence::transformer
