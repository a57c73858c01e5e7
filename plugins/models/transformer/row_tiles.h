#pragma once

#include <ATen/ops/empty.h>

#include <vector>

#include "parallel.h"
#include "tile_products.h"

namespace whence::transformer {

/// Rows that the kernels still take at full rate.
inline constexpr std::int64_t kFewestRows = 3;

/// Rows of a tile: at most kRowsPerTile, and as many tiles for each worker.
inline std::int64_t tile_rows(std::int64_t rows) {
  const std::int64_t workers = worker_count();
  const std::int64_t tiles_of_worker = (rows + workers * kRowsPerTile - 1) / (workers * kRowsPerTile);
  const std::int64_t share = (rows + workers * tiles_of_worker - 1) / (workers * tiles_of_worker);
  return std::min(kRowsPerTile, (share + kFewestRows - 1) / kFewestRows * kFewestRows);
}

/// Calls body(first, count, workspace) for tiles of rows, with a `Workspace` for each worker.
template <class Workspace, class Body>
void for_tiles(std::int64_t rows, const Body& body) {
  if (rows == 0) return;
  std::vector<Workspace> workspaces(static_cast<std::size_t>(worker_count()));
  const std::int64_t tile = tile_rows(rows);
  run_tasks((rows + tile - 1) / tile, [&](std::int64_t task, std::int64_t worker) {
    body(task * tile, std::min(tile, rows - task * tile), workspaces[static_cast<std::size_t>(worker)]);
  });
}

template <class T>
T* data(Tensor& tensor) {
  return tensor.mutable_data_ptr<T>();
}
template <class T>
const T* data(const Tensor& tensor) {
  return tensor.const_data_ptr<T>();
}

inline Tensor empty_rows(const Tensor& like, std::int64_t rows, std::int64_t width) {
  return at::empty({rows, width}, like.options());
}

/// Puts `count` neighbouring rows into a tile, from its first row on.
template <class T>
void put_rows(const T* rows, std::int64_t count, std::int64_t width, FactorRows<T>& tile) {
  for (std::int64_t r = 0; r < count; ++r) tile.put(r, 0, rows + r * width, nullptr, width);
}

/// Adds a bias, if it is defined, to `rows` rows of a block at columns [column, column + columns).
template <class T>
void add_bias(const Tensor& bias, std::int64_t column, std::int64_t columns, std::int64_t rows, T* block,
              std::int64_t stride) {
  if (!bias.defined()) return;
  for (std::int64_t r = 0; r < rows; ++r)
    kernels<T>().add_scaled(bias.const_data_ptr<T>() + column, T(1), columns, block + r * stride);
}

/// use(first column, columns, block): block [rows,kPanelWidth] holds columns of the first `rows` rows of `left` times
/// `right`, plus the bias [out] if it is defined.
template <class T, class Use>
void project(const FactorRows<T>& left, const PackedMatrix<T>& right, const Tensor& bias, std::int64_t rows,
             const Use& use) {
  alignas(64) T block[kRowsPerTile * kPanelWidth];
  for (std::int64_t p = 0; p < right.panels(); ++p) {
    const std::int64_t column = p * kPanelWidth, columns = std::min(kPanelWidth, right.width() - column);
    left.multiply_panel(right, p, rows, block, kPanelWidth);
    add_bias(bias, column, columns, rows, block, kPanelWidth);
    use(column, columns, static_cast<T*>(block));
  }
}

/// The same into rows of `out`, as wide as `right`.
template <class T>
void project_into(const FactorRows<T>& left, const PackedMatrix<T>& right, const Tensor& bias, std::int64_t rows,
                  T* out) {
  project(left, right, bias, rows, [&](std::int64_t column, std::int64_t columns, const T* block) {
    for (std::int64_t r = 0; r < rows; ++r)
      std::copy_n(block + r * kPanelWidth, columns, out + r * right.width() + column);
  });
}

}  // namespace whence::transformer
