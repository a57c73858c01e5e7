#include "linear.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include "row_tiles.h"

namespace whence::transformer {
namespace {

/// Tiles of rows as left factors, filled by `read(row)`.
template <class T, class Read>
std::vector<FactorRows<T>> factor_tiles(Precision precision, std::int64_t rows, std::int64_t depth, const Read& read) {
  std::vector<FactorRows<T>> tiles;
  for (std::int64_t first = 0; first < rows; first += kRowsPerTile) {
    const std::int64_t count = std::min(kRowsPerTile, rows - first);
    FactorRows<T>& tile = tiles.emplace_back(count, depth, precision);
    for (std::int64_t r = 0; r < count; ++r) tile.put(r, 0, read(first + r), nullptr, depth);
  }
  return tiles;
}

/// out[rows,columns of `right`] = tiles * right, or added to it; `out` has rows of `stride` numbers.
template <class T>
void multiply_tiles(const std::vector<FactorRows<T>>& tiles, std::int64_t rows, const PackedMatrix<T>& right, T* out,
                    std::int64_t stride, bool add) {
  run_tasks(right.panels(), [&](std::int64_t panel, std::int64_t) {
    alignas(64) T block[kRowsPerTile * kPanelWidth];
    const std::int64_t column = panel * kPanelWidth, columns = std::min(kPanelWidth, right.width() - column);
    for (std::size_t i = 0; i < tiles.size(); ++i) {
      const std::int64_t first = static_cast<std::int64_t>(i) * kRowsPerTile;
      const std::int64_t count = std::min(kRowsPerTile, rows - first);
      tiles[i].multiply_panel(right, panel, count, block, kPanelWidth);
      for (std::int64_t r = 0; r < count; ++r) {
        T* to = out + (first + r) * stride + column;
        if (add)
          kernels<T>().add_scaled(block + r * kPanelWidth, T(1), columns, to);
        else
          std::copy_n(block + r * kPanelWidth, columns, to);
      }
    }
  });
}

}  // namespace

template <class T>
Linear<T>::Linear(Projection weights, WeightPolicy policy) : weights_(std::move(weights)), policy_(policy) {
  if (weights_.bias.defined()) weights_.bias = weights_.bias.to(c10::CppTypeToScalarType<T>::value).contiguous();
  for (std::int64_t first = 0; first < weights_.out(); first += kSlice) {
    auto slice = std::make_unique<Slice>();
    slice->first = first;
    slice->count = std::min(kSlice, weights_.out() - first);
    slices_.push_back(std::move(slice));
  }
}

template <class T>
const PackedMatrix<T>& Linear<T>::forward_of(Slice& slice, PackedMatrix<T>& scratch) const {
  return slice.forward.get(policy_.resident, scratch, [&](PackedMatrix<T>& into) {
    weights_.pack_forward(policy_.forward, slice.first, slice.count, into);
  });
}

template <class T>
const PackedMatrix<T>& Linear<T>::backward_of(Slice& slice, PackedMatrix<T>& scratch) const {
  return slice.backward.get(policy_.resident, scratch, [&](PackedMatrix<T>& into) {
    weights_.pack_backward(policy_.backward, slice.first, slice.count, into);
  });
}

template <class T>
Tensor Linear<T>::forward(const Tensor& rows) const {
  const std::int64_t count = rows.size(0), depth = rows.size(1);
  Tensor result = at::empty({count, out()}, rows.options());
  const T* x = rows.const_data_ptr<T>();
  const auto tiles = factor_tiles<T>(policy_.forward, count, depth, [&](std::int64_t row) { return x + row * depth; });
  PackedMatrix<T> scratch;
  for (const auto& slice : slices_)
    multiply_tiles(tiles, count, forward_of(*slice, scratch), result.data_ptr<T>() + slice->first, out(),
                   /*add=*/false);
  add_bias(weights_.bias, 0, out(), count, result.data_ptr<T>(), out());
  return result;
}

template <class T>
Tensor Linear<T>::pull_back(const Tensor& cotangents) const {
  const std::int64_t count = cotangents.size(0);
  Tensor result = at::zeros({count, weights_.in()}, cotangents.options());
  const T* c = cotangents.const_data_ptr<T>();
  PackedMatrix<T> scratch;
  for (const auto& slice : slices_) {
    const auto tiles = factor_tiles<T>(policy_.backward, count, slice->count,
                                       [&](std::int64_t row) { return c + row * out() + slice->first; });
    multiply_tiles(tiles, count, backward_of(*slice, scratch), result.data_ptr<T>(), weights_.in(), /*add=*/true);
  }
  return result;
}

template class Linear<float>;
template class Linear<double>;

}  // namespace whence::transformer
