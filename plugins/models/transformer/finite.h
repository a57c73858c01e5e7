#pragma once

#include <cmath>
#include <string>

#include "kernels.h"
#include "whence/error.h"
#include "whence/tensor.h"

namespace whence::transformer {

/// Throws ModelError unless every number of `x` is finite; `place` says where they come from.
template <class T>
void require_finite(const Tensor& x, const std::string& place) {
  // A sum of squares is finite only when its terms are, far from the largest numbers there are.
  if (std::isfinite(kernels<T>().dot(x.const_data_ptr<T>(), x.const_data_ptr<T>(), x.numel()))) return;
  throw ModelError(place + " are not finite numbers; look for damaged weights or inputs that are too large");
}

/// The same for the output of a block.
template <class T>
void require_finite_states(const Tensor& x, std::size_t layer) {
  require_finite<T>(x, "layer " + std::to_string(layer) + ": hidden states");
}

/// The same for what goes into the first block.
template <class T>
void require_finite_inputs(const Tensor& x) {
  require_finite<T>(x, "input embeddings");
}

/// The same for states that are given to a block.
template <class T>
void require_finite_inputs(const Tensor& x, std::int64_t block) {
  require_finite<T>(x, "layer " + std::to_string(block) + ": given states");
}

/// The same for the cotangents of what goes into a block.
template <class T>
void require_finite_gradients(const Tensor& c, std::int64_t block) {
  require_finite<T>(c, "layer " + std::to_string(block) + ": gradients of hidden states");
}

}  // namespace whence::transformer
