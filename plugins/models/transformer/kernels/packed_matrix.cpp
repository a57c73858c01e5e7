#include "packed_matrix.h"

#include <ATen/ops/empty.h>

#include <stdexcept>

#include "parallel.h"

namespace whence::transformer {
namespace {

/// Bytes of a panel multiplied at a time, so that they stay in the second-level cache.
constexpr std::int64_t kPanelBytes = 192 * 1024;
/// Rows packed by one task.
constexpr std::int64_t kRowsPerTask = 64;

/// How much of a depth is multiplied at a time, in equal parts; `unit` depths lie together.
std::int64_t depth_block(std::int64_t depth, std::int64_t number_bytes, std::int64_t unit) {
  const std::int64_t most = kPanelBytes / (kPanelWidth * number_bytes);
  const std::int64_t parts = (depth + most - 1) / most;
  const std::int64_t block = (depth + parts - 1) / parts;
  return (block + unit - 1) / unit * unit;
}

/// The kernels' rounding; bfloat16 goes with float alone.
void round_row(const float* x, std::int64_t count, BFloat16Bits* out) { kernels<float>().to_bf16(x, count, out); }
void round_row(const double*, std::int64_t, BFloat16Bits*) {}

}  // namespace

template <class T>
PackedMatrix<T>::PackedMatrix(std::int64_t depth, std::int64_t width, Precision precision)
    : depth_(depth), width_(width), precision_(precision) {
  if (precision == Precision::bfloat16 && sizeof(T) != sizeof(float))
    throw std::invalid_argument("products of doubles are not rounded to bfloat16");
  const at::ScalarType type = precision == Precision::bfloat16 ? at::kBFloat16
                              : sizeof(T) == sizeof(float)     ? at::kFloat
                                                               : at::kDouble;
  numbers_ = at::empty({panels() * padded_depth() * kPanelWidth}, type);
}

template <class T>
std::int64_t PackedMatrix<T>::bytes() const {
  return numbers_.defined() ? static_cast<std::int64_t>(numbers_.nbytes()) : 0;
}

template <class T>
void PackedMatrix<T>::pack_rows(const ReadRow& read) {
  const std::int64_t padded_width = panels() * kPanelWidth;
  run_tasks((padded_depth() + kRowsPerTask - 1) / kRowsPerTask, [&](std::int64_t task, std::int64_t) {
    std::vector<T> row(static_cast<std::size_t>(padded_width), T(0));
    std::vector<BFloat16Bits> rounded(static_cast<std::size_t>(padded_width));
    const std::int64_t end = std::min(padded_depth(), (task + 1) * kRowsPerTask);
    for (std::int64_t k = task * kRowsPerTask; k < end; ++k) {
      if (k < depth_)
        read(k, row.data());
      else
        std::fill(row.begin(), row.end(), T(0));
      if (precision_ == Precision::full) {
        for (std::int64_t p = 0; p < panels(); ++p)
          std::copy_n(row.data() + p * kPanelWidth, kPanelWidth, full() + (p * depth_ + k) * kPanelWidth);
        continue;
      }
      round_row(row.data(), padded_width, rounded.data());
      for (std::int64_t p = 0; p < panels(); ++p) {
        BFloat16Bits* pairs = bfloat16() + (p * padded_depth() + k / 2 * 2) * kPanelWidth + k % 2;
        for (std::int64_t lane = 0; lane < kPanelWidth; ++lane) pairs[2 * lane] = rounded[p * kPanelWidth + lane];
      }
    }
  });
}

template <class T>
void PackedMatrix<T>::pack_columns(const ReadRow& read) {
  constexpr std::int64_t kTogether = 16;  // columns whose numbers at one depth fill a cache line
  run_tasks(panels(), [&](std::int64_t panel, std::int64_t) {
    const auto depth = static_cast<std::size_t>(padded_depth());
    std::vector<T> columns(kTogether * depth, T(0));
    std::vector<BFloat16Bits> rounded(precision_ == Precision::full ? 0 : columns.size());
    for (std::int64_t first = 0; first < kPanelWidth; first += kTogether) {
      for (std::int64_t c = 0; c < kTogether; ++c) {
        T* column = columns.data() + c * depth;
        if (const std::int64_t n = panel * kPanelWidth + first + c; n < width_)
          read(n, column);
        else
          std::fill_n(column, depth, T(0));
      }
      if (precision_ == Precision::full) {
        T* to = full() + panel * depth_ * kPanelWidth + first;
        for (std::int64_t k = 0; k < depth_; ++k)
          for (std::int64_t c = 0; c < kTogether; ++c) to[k * kPanelWidth + c] = columns[c * depth + k];
        continue;
      }
      round_row(columns.data(), static_cast<std::int64_t>(columns.size()), rounded.data());
      BFloat16Bits* to = bfloat16() + panel * padded_depth() * kPanelWidth + 2 * first;
      for (std::int64_t k = 0; k < padded_depth(); k += 2)
        for (std::int64_t c = 0; c < kTogether; ++c)
          for (std::int64_t i = 0; i < 2; ++i)
            to[k * kPanelWidth + 2 * c + i] = rounded[c * depth + static_cast<std::size_t>(k + i)];
    }
  });
}

template <class T>
void PackedMatrix<T>::multiply_panel(std::int64_t index, const T* a, std::int64_t stride, std::int64_t rows, T* out,
                                     std::int64_t out_stride, bool add) const {
  const T* panel = full() + index * depth_ * kPanelWidth;
  const std::int64_t block = depth_block(depth_, sizeof(T), 1);
  for (std::int64_t k = 0; k < depth_; k += block)
    kernels<T>().product(a + k, stride, 1, rows, panel + k * kPanelWidth, std::min(block, depth_ - k), out, out_stride,
                         add || k > 0);
}

template <class T>
void PackedMatrix<T>::multiply_panel(std::int64_t index, const BFloat16Bits* a, std::int64_t stride, std::int64_t rows,
                                     T* out, std::int64_t out_stride, bool add) const {
  if constexpr (sizeof(T) == sizeof(float)) {
    const BFloat16Bits* panel = bfloat16() + index * padded_depth() * kPanelWidth;
    const std::int64_t block = depth_block(padded_depth(), sizeof(BFloat16Bits), 2);
    for (std::int64_t k = 0; k < padded_depth(); k += block)
      kernels<float>().product_bf16(a + k, stride, rows, panel + k * kPanelWidth,
                                    std::min(block, padded_depth() - k) / 2, out, out_stride, add || k > 0);
  }
}

template class PackedMatrix<float>;
template class PackedMatrix<double>;

}  // namespace whence::transformer
