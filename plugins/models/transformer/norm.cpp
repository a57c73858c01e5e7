#include "norm.h"

#include <ATen/ops/mean.h>
#include <ATen/ops/rms_norm.h>

namespace whence::transformer {

Tensor RmsNorm::forward(const Tensor& x, NormTrace* trace) const {
  if (!trace) return at::rms_norm(x, weight.sizes(), weight, epsilon);
  trace->inverse = (x.square().mean(-1, /*keepdim=*/true) + epsilon).rsqrt();
  trace->normed = x * trace->inverse;
  return trace->normed * weight;
}

Tensor RmsNorm::pull_back(const NormTrace& trace, const Tensor& cotangents) const {
  // y = w x / rms(x): dx = (g - n mean(g n)) / rms with g = w dy and n the normed row.
  const Tensor normed = trace.normed.unsqueeze(-2);
  Tensor g = cotangents * weight;
  const Tensor along = (g * normed).mean(-1, /*keepdim=*/true);
  return g.addcmul_(normed, along, -1).mul_(trace.inverse.unsqueeze(-2));
}

}  // namespace whence::transformer
