#pragma once

#include <functional>

#include "kernels.h"
#include "whence/tensor.h"

namespace whence::transformer {

/// How the factors of a product are rounded; sums are always kept in full.
enum class Precision { full, bfloat16 };

/// A right factor [depth,width] in panels of kPanelWidth columns, as the kernels read it. T is float or double.
template <class T>
class PackedMatrix {
 public:
  PackedMatrix() = default;
  /// Not filled yet. bfloat16 goes with float alone.
  PackedMatrix(std::int64_t depth, std::int64_t width, Precision precision);

  /// Reads row i of some [rows, count] matrix into a buffer.
  using ReadRow = std::function<void(std::int64_t row, T* out)>;
  /// Fills the matrix, row k of it being row k of the source; on libtorch's threads.
  void pack_rows(const ReadRow& read);
  /// Fills the matrix, column n of it being row n of the source; on libtorch's threads.
  void pack_columns(const ReadRow& read);

  bool defined() const { return numbers_.defined(); }
  std::int64_t depth() const { return depth_; }
  std::int64_t width() const { return width_; }
  std::int64_t panels() const { return (width_ + kPanelWidth - 1) / kPanelWidth; }
  Precision precision() const { return precision_; }
  std::int64_t bytes() const;

  /// out[rows,kPanelWidth] (+)= a * panel `index`; a is [rows,depth] of T, or rounded when the precision is bfloat16.
  void multiply_panel(std::int64_t index, const T* a, std::int64_t stride, std::int64_t rows, T* out,
                      std::int64_t out_stride, bool add) const;
  void multiply_panel(std::int64_t index, const BFloat16Bits* a, std::int64_t stride, std::int64_t rows, T* out,
                      std::int64_t out_stride, bool add) const;

 private:
  /// Numbers of the depth as they are stored: even for bfloat16, which goes in pairs.
  std::int64_t padded_depth() const { return precision_ == Precision::full ? depth_ : (depth_ + 1) / 2 * 2; }
  T* full() const { return static_cast<T*>(numbers_.data_ptr()); }
  BFloat16Bits* bfloat16() const { return static_cast<BFloat16Bits*>(numbers_.data_ptr()); }

  std::int64_t depth_ = 0, width_ = 0;
  Precision precision_ = Precision::full;
  Tensor numbers_;
};

}  // namespace whence::transformer
