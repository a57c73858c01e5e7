#pragma once

#include <string>
#include <vector>

#include "whence/tensor.h"

namespace whence::transformer {

enum class Activation { silu, gelu, gelu_tanh, relu };

/// Every name that checkpoints use, and the activation each stands for.
const std::vector<std::string>& activation_names();
Activation activation_of(std::size_t index);

Tensor activate(Activation activation, const Tensor& x);
/// Derivative of the activation at `x`, times `factor` of the same shape.
Tensor activation_slope(Activation activation, const Tensor& x, const Tensor& factor);

}  // namespace whence::transformer
