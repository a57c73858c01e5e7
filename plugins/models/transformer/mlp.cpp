#include "mlp.h"

namespace whence::transformer {

Tensor GatedMlp::forward(const Tensor& x, MlpTrace* trace) const {
  const Tensor gated = gate.forward(x), linear = up.forward(x);
  const Tensor activated = activate(activation, gated);
  if (trace) *trace = {activation_slope(activation, gated, linear), activated};
  return down.forward(activated * linear);
}

Tensor GatedMlp::pull_back(const MlpTrace& trace, const Tensor& cotangents) const {
  Tensor inner = down.pull_back(cotangents);
  Tensor result = gate.pull_back(inner * trace.gate_slope.unsqueeze(-2));
  up.add_pull_back(inner.mul_(trace.activated.unsqueeze(-2)), result);
  return result;
}

}  // namespace whence::transformer
