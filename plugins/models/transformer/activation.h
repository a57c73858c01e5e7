#pragma once

#include <string>
#include <vector>

#include "kernels.h"

namespace whence::transformer {

/// Every name that checkpoints use, and the activation each stands for.
const std::vector<std::string>& activation_names();
Activation activation_of(std::size_t index);
/// What each is called here, whatever checkpoints call it: "silu", "gelu", "gelu_tanh", "relu" or "relu2".
const char* name_of(Activation activation);

}  // namespace whence::transformer
