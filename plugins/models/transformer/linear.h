#pragma once

#include <memory>

#include "block_weights.h"

namespace whence::transformer {

/// A projection outside of the blocks, worked on in slices of its outputs: the head, above all. [thread: any]
template <class T>
class Linear {
 public:
  /// Outputs in a slice.
  static constexpr std::int64_t kSlice = 8192;

  Linear(Projection weights, WeightPolicy policy);

  std::int64_t out() const { return weights_.out(); }
  /// Rows [R,in] -> [R,out].
  Tensor forward(const Tensor& rows) const;
  /// Cotangents [R,out] -> [R,in].
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
