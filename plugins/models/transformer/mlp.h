#pragma once

#include "activation.h"
#include "linear.h"

namespace whence::transformer {

/// down(activation(gate(x)) * up(x)), arXiv:2002.05202.
struct GatedMlp {
  Linear gate, up, down;
  Activation activation = Activation::silu;

  Tensor forward(const Tensor& x) const { return down.forward(activate(activation, gate.forward(x)) * up.forward(x)); }
};

}  // namespace whence::transformer
