#pragma once

#include <ATen/ops/empty.h>

#include <vector>

#include "packed_matrix.h"

namespace whence::transformer {

/// Rows that go through a chain of products together, so that what lies between them stays in the cache. A multiple of
/// the rows that the kernels keep in registers.
inline constexpr std::int64_t kRowsPerTile = 48;

/// Left factors of a product: some rows, kept as they are or rounded like the right factor they are made for.
template <class T>
class FactorRows {
 public:
  FactorRows() = default;
  bool defined() const { return stride_ > 0; }
  FactorRows(std::int64_t rows, std::int64_t depth, Precision precision)
      : precision_(precision), stride_((depth + 1) / 2 * 2) {
    const auto size = static_cast<std::size_t>(rows * stride_);
    if (precision == Precision::full)
      full_.resize(size);
    else
      rounded_.resize(size);
  }

  /// Puts `count` numbers at columns [column, column + count) of a row, times `other` when it is not null.
  void put(std::int64_t row, std::int64_t column, const T* x, const T* other, std::int64_t count) {
    if (precision_ == Precision::bfloat16) {
      BFloat16Bits* to = rounded_.data() + row * stride_ + column;
      if (other)
        kernels<T>().multiply_to_bf16(x, other, count, to);
      else
        kernels<T>().to_bf16(x, count, to);
    } else if (T* to = full_.data() + row * stride_ + column; other) {
      kernels<T>().multiply(x, other, count, to);
    } else {
      std::copy_n(x, count, to);
    }
  }
  /// use(first column, columns, block): block [rows,kPanelWidth] holds columns of the first `rows` rows times `right`.
  template <class Use>
  void multiply(const PackedMatrix<T>& right, std::int64_t rows, const Use& use) const {
    alignas(64) T block[kRowsPerTile * kPanelWidth];
    for (std::int64_t p = 0; p < right.panels(); ++p) {
      multiply_panel(right, p, rows, block, kPanelWidth);
      use(p * kPanelWidth, std::min(kPanelWidth, right.width() - p * kPanelWidth), static_cast<const T*>(block));
    }
  }
  /// One panel of the product, into [rows,kPanelWidth] numbers of `out`.
  void multiply_panel(const PackedMatrix<T>& right, std::int64_t panel, std::int64_t rows, T* out,
                      std::int64_t out_stride) const {
    if (precision_ == Precision::full)
      right.multiply_panel(panel, full_.data(), stride_, rows, out, out_stride, false);
    else
      right.multiply_panel(panel, rounded_.data(), stride_, rows, out, out_stride, false);
  }

 private:
  Precision precision_ = Precision::full;
  std::int64_t stride_ = 0;
  std::vector<T> full_;
  std::vector<BFloat16Bits> rounded_;
};

}  // namespace whence::transformer
