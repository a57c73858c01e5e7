#include "block.h"

#include <ATen/ops/empty.h>

#include "norm.h"
#include "parallel.h"
#include "tile_products.h"

namespace whence::transformer {
namespace {

/// Below this difference of gates, "deeplift" takes the derivative (the reference toolkit's threshold).
constexpr double kSameGate = 1e-10;
/// Rows that the kernels still take at full rate.
constexpr std::int64_t kFewestRows = 3;

/// Rows of a tile: at most kRowsPerTile, and as many tiles for each worker.
std::int64_t tile_rows(std::int64_t rows) {
  const std::int64_t workers = worker_count();
  const std::int64_t tiles_of_worker = (rows + workers * kRowsPerTile - 1) / (workers * kRowsPerTile);
  const std::int64_t share = (rows + workers * tiles_of_worker - 1) / (workers * tiles_of_worker);
  return std::min(kRowsPerTile, (share + kFewestRows - 1) / kFewestRows * kFewestRows);
}

/// Calls body(first, count, worker) for tiles of rows.
template <class Body>
void for_tiles(std::int64_t rows, const Body& body) {
  if (rows == 0) return;
  const std::int64_t tile = tile_rows(rows);
  run_tasks((rows + tile - 1) / tile, [&](std::int64_t task, std::int64_t worker) {
    body(task * tile, std::min(tile, rows - task * tile), worker);
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

template <class T>
Tensor empty_rows(const Tensor& like, std::int64_t rows, std::int64_t width) {
  return at::empty({rows, width}, like.options());
}

/// Adds the bias, if there is one, to a block of `rows` rows at some columns.
template <class T>
void add_bias(const Tensor& bias, std::int64_t column, std::int64_t columns, std::int64_t rows, T* block,
              std::int64_t stride) {
  if (!bias.defined()) return;
  for (std::int64_t r = 0; r < rows; ++r)
    kernels<T>().add_scaled(bias.const_data_ptr<T>() + column, T(1), columns, block + r * stride);
}

}  // namespace

template <class T>
RowAngles<T>::RowAngles(const Rotary& rotary, const std::vector<std::int64_t>& lengths, const RowLayout& layout) {
  std::int64_t start = layout.segments.front().start, end = 0;
  for (const Segment& segment : layout.segments) {
    start = std::min(start, segment.start);
    end = std::max(end, segment.end());
  }
  const std::int64_t positions = end - start;
  const RotaryTable table = rotary.table(lengths, start, positions);
  half_ = table.cosine.size(-1);
  const auto flat = [&](const Tensor& x) {
    return x.reshape({-1, half_}).to(c10::CppTypeToScalarType<T>::value).contiguous();
  };
  cosine_ = flat(table.cosine);
  sine_ = flat(table.sine);
  const bool shared = table.cosine.size(0) == 1;
  for (const Segment& segment : layout.segments)
    for (std::int64_t i = 0; i < segment.count; ++i)
      index_.push_back((shared ? 0 : segment.text * positions) + segment.start + i - start);
}

template <class T>
Tensor BlockForward<T>::heads(const Tensor& x, const RowAngles<T>* angles, BlockTrace* trace) const {
  const std::int64_t rows = x.size(0), hidden = shape_.hidden, width = shape_.attention.width();
  const std::int64_t head = shape_.attention.head_size;
  const std::int64_t turned = shape_.attention.heads + shape_.attention.key_value_heads;
  const PackedMatrix<T>& matrix = matrices_.query_key_value;
  const bool norms = weights_.query_norm.defined();
  Tensor result = empty_rows<T>(x, rows, width);
  if (trace) {
    trace->attention_normed = empty_rows<T>(x, rows, hidden);
    trace->attention_inverse = at::empty({rows}, x.options());
    trace->heads = result;
    if (norms) {
      trace->head_normed = at::empty({rows, turned, head}, x.options());
      trace->head_inverse = empty_rows<T>(x, rows, turned);
    }
  }
  const T* in = data<T>(x);
  T* out = data<T>(result);
  std::vector<FactorRows<T>> factors(static_cast<std::size_t>(worker_count()));
  for_tiles(rows, [&](std::int64_t first, std::int64_t count, std::int64_t worker) {
    FactorRows<T>& tile = factors[static_cast<std::size_t>(worker)];
    if (!tile.defined()) tile = FactorRows<T>(kRowsPerTile, hidden, matrix.precision());
    std::vector<T> own(static_cast<std::size_t>(std::max(hidden, head)));
    for (std::int64_t r = 0; r < count; ++r) {
      T* normed = trace ? data<T>(trace->attention_normed) + (first + r) * hidden : own.data();
      const T inverse = normalise(in + (first + r) * hidden, hidden, shape_.norm_epsilon, normed);
      if (trace) data<T>(trace->attention_inverse)[first + r] = inverse;
      tile.put(r, 0, normed, nullptr, hidden);
    }
    tile.multiply(matrix, count, [&](std::int64_t column, std::int64_t columns, const T* block) {
      for (std::int64_t r = 0; r < count; ++r)
        std::copy_n(block + r * kPanelWidth, columns, out + (first + r) * width + column);
    });
    add_bias(weights_.query_key_value.bias, 0, width, count, out + first * width, width);
    for (std::int64_t r = 0; r < count; ++r) {
      const std::int64_t row = first + r;
      for (std::int64_t h = 0; h < turned; ++h) {
        T* vector = out + row * width + h * head;
        if (norms) {
          const Tensor& gain = h < shape_.attention.heads ? weights_.query_norm : weights_.key_norm;
          T* normed = trace ? data<T>(trace->head_normed) + (row * turned + h) * head : own.data();
          const T inverse = normalise(vector, head, shape_.norm_epsilon, normed);
          if (trace) data<T>(trace->head_inverse)[row * turned + h] = inverse;
          kernels<T>().multiply(normed, gain.template const_data_ptr<T>(), head, vector);
        }
        if (angles) kernels<T>().rotate(vector, angles->cosine(row), angles->sine(row), angles->half(), vector);
      }
    }
  });
  return result;
}

template <class T>
void BlockForward<T>::finish(const Tensor& mixed, Tensor& x, BlockTrace* trace) const {
  const std::int64_t rows = x.size(0), hidden = shape_.hidden, inner = shape_.inner;
  const std::int64_t queries = shape_.attention.queries();
  if (trace) {
    trace->mlp_normed = empty_rows<T>(x, rows, hidden);
    trace->mlp_inverse = at::empty({rows}, x.options());
    trace->gate = empty_rows<T>(x, rows, inner);
    trace->up = empty_rows<T>(x, rows, inner);
  }
  const T* values = data<T>(mixed);
  T* stream = data<T>(x);
  struct Workspace {
    FactorRows<T> mixed, normed, inner;
  };
  std::vector<Workspace> workspaces(static_cast<std::size_t>(worker_count()));
  for_tiles(rows, [&](std::int64_t first, std::int64_t count, std::int64_t worker) {
    Workspace& own = workspaces[static_cast<std::size_t>(worker)];
    if (!own.mixed.defined())
      own = {FactorRows<T>(kRowsPerTile, queries, matrices_.output.precision()),
             FactorRows<T>(kRowsPerTile, hidden, matrices_.gate.precision()),
             FactorRows<T>(kRowsPerTile, inner, matrices_.down.precision())};
    T* tile = stream + first * hidden;
    const auto add_to_stream = [&](std::int64_t column, std::int64_t columns, const T* block) {
      for (std::int64_t r = 0; r < count; ++r)
        kernels<T>().add_scaled(block + r * kPanelWidth, T(1), columns, tile + r * hidden + column);
    };
    for (std::int64_t r = 0; r < count; ++r) own.mixed.put(r, 0, values + (first + r) * queries, nullptr, queries);
    own.mixed.multiply(matrices_.output, count, add_to_stream);
    add_bias(weights_.output.bias, 0, hidden, count, tile, hidden);

    std::vector<T> normed_row(static_cast<std::size_t>(hidden));
    for (std::int64_t r = 0; r < count; ++r) {
      T* normed = trace ? data<T>(trace->mlp_normed) + (first + r) * hidden : normed_row.data();
      const T inverse = normalise(tile + r * hidden, hidden, shape_.norm_epsilon, normed);
      if (trace) data<T>(trace->mlp_inverse)[first + r] = inverse;
      own.normed.put(r, 0, normed, nullptr, hidden);
    }
    alignas(64) T gate[kRowsPerTile * kPanelWidth], up[kRowsPerTile * kPanelWidth], active[kPanelWidth];
    for (std::int64_t p = 0; p < matrices_.gate.panels(); ++p) {
      const std::int64_t column = p * kPanelWidth, columns = std::min(kPanelWidth, inner - column);
      own.normed.multiply_panel(matrices_.gate, p, count, gate, kPanelWidth);
      own.normed.multiply_panel(matrices_.up, p, count, up, kPanelWidth);
      add_bias(weights_.gate.bias, column, columns, count, gate, kPanelWidth);
      add_bias(weights_.up.bias, column, columns, count, up, kPanelWidth);
      for (std::int64_t r = 0; r < count; ++r) {
        kernels<T>().activate(shape_.activation, gate + r * kPanelWidth, columns, active, nullptr);
        own.inner.put(r, column, active, up + r * kPanelWidth, columns);
        if (!trace) continue;
        std::copy_n(gate + r * kPanelWidth, columns, data<T>(trace->gate) + (first + r) * inner + column);
        std::copy_n(up + r * kPanelWidth, columns, data<T>(trace->up) + (first + r) * inner + column);
      }
    }
    own.inner.multiply(matrices_.down, count, add_to_stream);
    add_bias(weights_.down.bias, 0, hidden, count, tile, hidden);
  });
}

template <class T>
BlockPullBack<T>::BlockPullBack(const BlockShape& shape, const BlockWeights& weights,
                                const BackwardMatrices<T>& matrices, const BlockTrace& trace, const BlockRules& rules)
    : shape_(shape), weights_(weights), matrices_(matrices), trace_(trace), rules_(rules) {
  const std::int64_t rows = trace.gate.size(0), inner = shape.inner;
  gate_slope_ = empty_rows<T>(trace.gate, rows, inner);
  activated_ = empty_rows<T>(trace.gate, rows, inner);
  const auto factor = static_cast<T>(rules.gate_factor);
  for_tiles(rows, [&](std::int64_t first, std::int64_t count, std::int64_t) {
    std::vector<T> other(static_cast<std::size_t>(rules.reference ? inner : 0));
    for (std::int64_t row = first; row < first + count; ++row) {
      const T *gate = data<T>(trace_.gate) + row * inner, *up = data<T>(trace_.up) + row * inner;
      T *slope = data<T>(gate_slope_) + row * inner, *active = data<T>(activated_) + row * inner;
      kernels<T>().activate(shape_.activation, gate, inner, active, slope);
      if (rules.reference) {
        const T* start = data<T>(rules.reference->gate) + row * inner;
        kernels<T>().activate(shape_.activation, start, inner, other.data(), nullptr);
        for (std::int64_t i = 0; i < inner; ++i)
          if (const T way = gate[i] - start[i]; std::abs(way) >= static_cast<T>(kSameGate))
            slope[i] = (active[i] - other[i]) / way;
      }
      kernels<T>().multiply(slope, up, inner, slope);
      if (factor == 1) continue;
      kernels<T>().scale(slope, factor, inner, slope);
      kernels<T>().scale(active, factor, inner, active);
    }
  });
}

template <class T>
Tensor BlockPullBack<T>::through_mlp(Tensor& c, const std::vector<std::int64_t>& rows) const {
  const std::int64_t hidden = shape_.hidden, inner = shape_.inner, queries = shape_.attention.queries();
  Tensor mixed = empty_rows<T>(c, c.size(0), queries);
  T *cotangents = data<T>(c), *out = data<T>(mixed);
  struct Workspace {
    FactorRows<T> outer, inner;
    std::vector<T> sums;
  };
  std::vector<Workspace> workspaces(static_cast<std::size_t>(worker_count()));
  for_tiles(c.size(0), [&](std::int64_t first, std::int64_t count, std::int64_t worker) {
    Workspace& own = workspaces[static_cast<std::size_t>(worker)];
    if (!own.outer.defined())
      own = {FactorRows<T>(kRowsPerTile, hidden, matrices_.down.precision()),
             FactorRows<T>(kRowsPerTile, 2 * inner, matrices_.gate_up.precision()),
             std::vector<T>(static_cast<std::size_t>(kRowsPerTile * hidden))};
    T* tile = cotangents + first * hidden;
    const auto traced = [&](std::int64_t r) { return rows[static_cast<std::size_t>(first + r)]; };
    for (std::int64_t r = 0; r < count; ++r) own.outer.put(r, 0, tile + r * hidden, nullptr, hidden);
    own.outer.multiply(matrices_.down, count, [&](std::int64_t column, std::int64_t columns, const T* block) {
      for (std::int64_t r = 0; r < count; ++r) {
        const std::int64_t at = traced(r) * inner + column;
        own.inner.put(r, column, block + r * kPanelWidth, data<T>(gate_slope_) + at, columns);
        own.inner.put(r, inner + column, block + r * kPanelWidth, data<T>(activated_) + at, columns);
      }
    });
    own.inner.multiply(matrices_.gate_up, count, [&](std::int64_t column, std::int64_t columns, const T* block) {
      for (std::int64_t r = 0; r < count; ++r)
        std::copy_n(block + r * kPanelWidth, columns, own.sums.data() + r * hidden + column);
    });
    for (std::int64_t r = 0; r < count; ++r) {
      add_norm_pull_back(data<T>(trace_.mlp_normed) + traced(r) * hidden, data<T>(trace_.mlp_inverse)[traced(r)],
                         rules_.frozen_norms, hidden, own.sums.data() + r * hidden, tile + r * hidden);
      own.outer.put(r, 0, tile + r * hidden, nullptr, hidden);
    }
    own.outer.multiply(matrices_.output, count, [&](std::int64_t column, std::int64_t columns, const T* block) {
      for (std::int64_t r = 0; r < count; ++r)
        std::copy_n(block + r * kPanelWidth, columns, out + (first + r) * queries + column);
    });
  });
  return mixed;
}

template <class T>
void BlockPullBack<T>::head_row(T* row, std::int64_t traced, const RowAngles<T>* angles) const {
  const std::int64_t head = shape_.attention.head_size;
  const std::int64_t turned = shape_.attention.heads + shape_.attention.key_value_heads;
  for (std::int64_t h = 0; h < turned; ++h) {
    T* c = row + h * head;
    if (angles) kernels<T>().rotate_back(c, angles->cosine(traced), angles->sine(traced), angles->half(), c);
    if (!weights_.query_norm.defined()) continue;
    const Tensor& gain = h < shape_.attention.heads ? weights_.query_norm : weights_.key_norm;
    kernels<T>().multiply(c, gain.template const_data_ptr<T>(), head, c);
    const T* normed = data<T>(trace_.head_normed) + (traced * turned + h) * head;
    const T inverse = data<T>(trace_.head_inverse)[traced * turned + h];
    if (!rules_.frozen_norms)
      kernels<T>().add_scaled(normed, -kernels<T>().dot(c, normed, head) / static_cast<T>(head), head, c);
    kernels<T>().scale(c, inverse, head, c);
  }
}

template <class T>
void BlockPullBack<T>::through_heads(Tensor& heads, Tensor& c, const std::vector<std::int64_t>& rows,
                                     const RowAngles<T>* angles) const {
  const std::int64_t hidden = shape_.hidden, width = shape_.attention.width();
  T *in = data<T>(heads), *cotangents = data<T>(c);
  const PackedMatrix<T>& matrix = matrices_.query_key_value;
  struct Workspace {
    FactorRows<T> heads;
    std::vector<T> sums;
  };
  std::vector<Workspace> workspaces(static_cast<std::size_t>(worker_count()));
  for_tiles(c.size(0), [&](std::int64_t first, std::int64_t count, std::int64_t worker) {
    Workspace& own = workspaces[static_cast<std::size_t>(worker)];
    if (!own.heads.defined())
      own = {FactorRows<T>(kRowsPerTile, width, matrix.precision()),
             std::vector<T>(static_cast<std::size_t>(kRowsPerTile * hidden))};
    for (std::int64_t r = 0; r < count; ++r) {
      T* row = in + (first + r) * width;
      head_row(row, rows[static_cast<std::size_t>(first + r)], angles);
      own.heads.put(r, 0, row, nullptr, width);
    }
    own.heads.multiply(matrix, count, [&](std::int64_t column, std::int64_t columns, const T* block) {
      for (std::int64_t r = 0; r < count; ++r)
        std::copy_n(block + r * kPanelWidth, columns, own.sums.data() + r * hidden + column);
    });
    for (std::int64_t r = 0; r < count; ++r) {
      const std::int64_t traced = rows[static_cast<std::size_t>(first + r)];
      add_norm_pull_back(data<T>(trace_.attention_normed) + traced * hidden, data<T>(trace_.attention_inverse)[traced],
                         rules_.frozen_norms, hidden, own.sums.data() + r * hidden, cotangents + (first + r) * hidden);
    }
  });
}

template class RowAngles<float>;
template class RowAngles<double>;
template class BlockForward<float>;
template class BlockForward<double>;
template class BlockPullBack<float>;
template class BlockPullBack<double>;

}  // namespace whence::transformer
