#pragma once

#include <ATen/ops/empty.h>

#include <vector>

#include "packed_matrix.h"

namespace whence::transformer {

/// Rows that go through a chain of products together, so that what lies between them stays in the cache. A multiple of
/// the rows that the kernels keep in registers.
inline constexpr std::int64_t kRowsPerTile = 48;

/// Left factors of a product: some rows, kept as they are or rounded, as the right factor asks.
template <class T>
class FactorRows {
 public:
  FactorRows() = default;
  bool defined() const { return stride_ > 0; }
  FactorRows(std::int64_t rows, std::int64_t depth)
      : stride_((depth + 1) / 2 * 2),
        full_(static_cast<std::size_t>(rows * stride_)),
        rounded_(sizeof(T) == sizeof(float) ? static_cast<std::size_t>(rows * stride_) : 0) {}

  /// Puts `count` numbers at columns [column, column + count) of a row, times `other` when it is not null.
  void put(Precision precision, std::int64_t row, std::int64_t column, const T* x, const T* other, std::int64_t count) {
    T* to = full_.data() + row * stride_ + column;
    if (other)
      kernels<T>().multiply(x, other, count, to);
    else
      std::copy_n(x, count, to);
    if (precision == Precision::bfloat16) kernels<T>().to_bf16(to, count, rounded_.data() + row * stride_ + column);
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
    if (right.precision() == Precision::full)
      right.multiply_panel(panel, full_.data(), stride_, rows, out, out_stride, false);
    else
      right.multiply_panel(panel, rounded_.data(), stride_, rows, out, out_stride, false);
  }

 private:
  std::int64_t stride_ = 0;
  std::vector<T> full_;
  std::vector<BFloat16Bits> rounded_;
};

}  // namespace whence::transformer
