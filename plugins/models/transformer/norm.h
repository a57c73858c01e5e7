#pragma once

#include <cmath>

#include "kernels.h"

namespace whence::transformer {

/// Root mean square norm (arXiv:1910.07467) without its gain: normed = x / rms(x). Returns 1 / rms(x).
template <class T>
T normalise(const T* x, std::int64_t size, double epsilon, T* normed) {
  const T mean = kernels<T>().dot(x, x, size) / static_cast<T>(size);
  const T inverse = 1 / std::sqrt(mean + static_cast<T>(epsilon));
  kernels<T>().scale(x, inverse, size, normed);
  return inverse;
}

/// Adds to `sum` the cotangent of x, from the cotangent c of the normed row: (c - normed mean(c normed)) / rms(x).
/// `frozen` takes rms(x) for a constant. `c` is overwritten.
template <class T>
void add_norm_pull_back(const T* normed, T inverse, bool frozen, std::int64_t size, T* c, T* sum) {
  if (!frozen) kernels<T>().add_scaled(normed, -kernels<T>().dot(c, normed, size) / static_cast<T>(size), size, c);
  kernels<T>().add_scaled(c, inverse, size, sum);
}

}  // namespace whence::transformer
