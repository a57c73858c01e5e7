#pragma once

#include "packed_matrix.h"
#include "stored_matrix.h"

namespace whence::transformer {

/// y = x W^T + b, where W [out,in] is a stack of stored matrices and x is a normed row before the gain of its norm: the
/// gain is part of the packed weights.
struct Projection {
  std::vector<StoredMatrix> parts;  ///< one above the other
  Tensor gain;                      ///< [in] or undefined
  Tensor bias;                      ///< [out] or undefined

  std::int64_t out() const;
  std::int64_t in() const { return parts.front().in(); }

  /// The weights W unpacked, [out,in] of floats, times the gain.
  Tensor dense() const;

  /// Right factor of the forward, [in,count]: outputs [first, first + count). Memory that `into` has is used again.
  template <class T>
  void pack_forward(Precision precision, std::int64_t first, std::int64_t count, PackedMatrix<T>& into) const;
  /// Right factor of the backward, [count,in].
  template <class T>
  void pack_backward(Precision precision, std::int64_t first, std::int64_t count, PackedMatrix<T>& into) const;

 private:
  template <class T>
  typename PackedMatrix<T>::ReadRow reader(std::int64_t first) const;
};

}  // namespace whence::transformer
