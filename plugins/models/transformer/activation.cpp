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

const char* name_of(Activation activation) {
  static constexpr const char* kNames[] = {"silu", "gelu", "gelu_tanh", "relu", "relu2"};
  return kNames[static_cast<std::size_t>(activation)];
}

}  // namespace whence::transformer
