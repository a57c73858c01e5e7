#include "activation.h"

namespace whence::transformer {

const std::vector<std::string>& activation_names() {
  static const std::vector<std::string> kNames = {"silu", "swish", "gelu", "gelu_new", "gelu_pytorch_tanh",
                                                  "relu", "relu2"};
  return kNames;
}

Activation activation_of(std::size_t index) {
  static constexpr Activation kActivations[] = {Activation::silu,      Activation::silu,      Activation::gelu,
                                                Activation::gelu_tanh, Activation::gelu_tanh, Activation::relu,
                                                Activation::relu2};
  return kActivations[index];
}

}  // namespace whence::transformer
