#include "linear_norm.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/zeros.h>

namespace whence::transformer {
namespace {

Tensor centred(const Norm& norm, const Tensor& x) {
  return norm.kind == NormKind::layer ? x - x.mean(-1, /*keepdim=*/true) : x;
}

}  // namespace

LinearNorm::LinearNorm(const std::optional<Norm>& norm, const Tensor& rows) : norm_(norm), scale_(at::ones({1, 1})) {
  if (norm) scale_ = at::rsqrt(centred(*norm, rows).square().mean(-1, /*keepdim=*/true) + norm->epsilon);
}

LinearNorm LinearNorm::with_inverse(const std::optional<Norm>& norm, const Tensor& inverse) {
  LinearNorm result;
  result.norm_ = norm;
  result.scale_ = norm ? inverse.unsqueeze(1) : at::ones({1, 1});
  return result;
}

Tensor LinearNorm::direct(const Tensor& x) const {
  if (!norm_) return x;
  const Tensor result = centred(*norm_, x);
  return norm_->gain.defined() ? result * norm_->gain : result;
}

Tensor LinearNorm::constant() const { return norm_ && norm_->bias.defined() ? norm_->bias : at::zeros({1}); }

Tensor LinearNorm::transposed(const Tensor& cotangents) const {
  if (!norm_) return cotangents;
  // Taking the mean away is its own transpose.
  return centred(*norm_, norm_->gain.defined() ? cotangents * norm_->gain : cotangents) * scale_;
}

LinearNorm LinearNorm::of_rows(const Tensor& which) const {
  LinearNorm result = *this;
  if (norm_) result.scale_ = scale_.index_select(0, which);
  return result;
}

}  // namespace whence::transformer
