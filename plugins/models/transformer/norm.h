#pragma once

#include <algorithm>
#include <cmath>

#include "kernels.h"
#include "whence/tensor.h"

namespace whence::transformer {

enum class NormKind {
  rms,    ///< arXiv:1910.07467
  layer,  ///< arXiv:1607.06450
};

/// A norm over rows, or over groups of neighbouring columns: normed = (x - mean) / deviation, then normed * gain +
/// bias. A gain that is part of the projections behind the norm is undefined here.
struct Norm {
  NormKind kind = NormKind::rms;
  double epsilon = 1e-6;
  Tensor gain, bias;  ///< [D] or undefined

  /// With numbers of another type.
  Norm to(at::ScalarType type) const {
    const auto converted = [type](const Tensor& x) { return x.defined() ? x.to(type).contiguous() : x; };
    return {kind, epsilon, converted(gain), converted(bias)};
  }
};

/// x without mean and deviation, before gain and bias; `normed` may be x. Returns 1 / deviation.
template <class T>
T normalise(const Norm& norm, const T* x, std::int64_t size, T* normed) {
  if (norm.kind == NormKind::layer) {
    double sum = 0;
    for (std::int64_t i = 0; i < size; ++i) sum += x[i];
    const auto mean = static_cast<T>(sum / static_cast<double>(size));
    for (std::int64_t i = 0; i < size; ++i) normed[i] = x[i] - mean;
    x = normed;
  }
  const T square = kernels<T>().dot(x, x, size) / static_cast<T>(size);
  const T inverse = 1 / std::sqrt(square + static_cast<T>(norm.epsilon));
  kernels<T>().scale(x, inverse, size, normed);
  return inverse;
}

/// out = normed * gain + bias at columns [first, first + size); `out` may be `normed`.
template <class T>
void apply_gain(const Norm& norm, const T* normed, std::int64_t first, std::int64_t size, T* out) {
  if (norm.gain.defined())
    kernels<T>().multiply(normed, norm.gain.template const_data_ptr<T>() + first, size, out);
  else if (out != normed)
    std::copy_n(normed, size, out);
  if (norm.bias.defined()) kernels<T>().add_scaled(norm.bias.template const_data_ptr<T>() + first, T(1), size, out);
}

/// The cotangent c of the output at columns [first, first + size) becomes that of x. `frozen` takes the deviation for a
/// constant.
template <class T>
void norm_pull_back(const Norm& norm, const T* normed, T inverse, bool frozen, std::int64_t first, std::int64_t size,
                    T* c) {
  if (norm.gain.defined()) kernels<T>().multiply(c, norm.gain.template const_data_ptr<T>() + first, size, c);
  if (!frozen) kernels<T>().add_scaled(normed, -kernels<T>().dot(c, normed, size) / static_cast<T>(size), size, c);
  if (norm.kind == NormKind::layer) {
    double sum = 0;
    for (std::int64_t i = 0; i < size; ++i) sum += c[i];
    const auto mean = static_cast<T>(sum / static_cast<double>(size));
    for (std::int64_t i = 0; i < size; ++i) c[i] -= mean;
  }
  kernels<T>().scale(c, inverse, size, c);
}

}  // namespace whence::transformer
