#pragma once

#include <memory>

#include "block_weights.h"

namespace whence::transformer {

/// The matrix that turns normed rows into logits, worked on in slices of the vocabulary. [thread: any]
template <class T>
class Head {
 public:
  /// Entries of the vocabulary in a slice.
  static constexpr std::int64_t kSlice = 8192;

  /// The gain of `weights` is that of the final norm.
  Head(Projection weights, WeightPolicy policy);

  std::int64_t vocabulary() const { return weights_.out(); }
  /// Normed rows [R,D] before the gain -> logits [R,V]. Throws ModelError when some are not finite.
  Tensor forward(const Tensor& rows) const;
  /// Cotangents of the logits [R,V] -> of the normed rows, [R,D].
  Tensor pull_back(const Tensor& cotangents) const;

 private:
  struct Slice {
    std::int64_t first = 0, count = 0;
    PackedOnce<PackedMatrix<T>> forward, backward;
  };

  const PackedMatrix<T>& forward_of(Slice& slice, PackedMatrix<T>& scratch) const;
  const PackedMatrix<T>& backward_of(Slice& slice, PackedMatrix<T>& scratch) const;

  Projection weights_;
  WeightPolicy policy_;
  std::vector<std::unique_ptr<Slice>> slices_;
};

}  // namespace whence::transformer
