#include "experts.h"

#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace whence::transformer {
namespace {

/// Packed rows whose slots are carried back together.
constexpr std::int64_t kRowsTogether = 1024;

/// Tasks of at most kRowsPerTile entries of each list.
struct Tile {
  std::size_t list;
  std::int64_t first, count;
};

template <class Lists>
std::vector<Tile> tiles_of(const Lists& lists) {
  std::vector<Tile> result;
  for (std::size_t i = 0; i < lists.size(); ++i)
    for (std::int64_t first = 0; first < std::ssize(lists[i]); first += kRowsPerTile)
      result.push_back({i, first, std::min(kRowsPerTile, std::ssize(lists[i]) - first)});
  return result;
}

/// Calls body(tile, workspace), with a `Workspace` for each worker.
template <class Workspace, class Body>
void for_each_tile(const std::vector<Tile>& tiles, const Body& body) {
  if (tiles.empty()) return;
  std::vector<Workspace> workspaces(static_cast<std::size_t>(worker_count()));
  run_tasks(std::ssize(tiles), [&](std::int64_t task, std::int64_t worker) {
    body(tiles[static_cast<std::size_t>(task)], workspaces[static_cast<std::size_t>(worker)]);
  });
}

template <class T>
T sigmoid(T x) {
  return 1 / (1 + std::exp(-x));
}

}  // namespace

template <class T>
void ExpertsForward<T>::choose(const Tensor& rows, ExpertsTrace& routing) const {
  const std::int64_t count = rows.size(0), hidden = rows.size(1), experts = config_.count, chosen = config_.chosen;
  routing.probabilities = empty_rows(rows, count, experts);
  routing.chosen = at::empty({count, chosen}, at::kLong);
  routing.raw = empty_rows(rows, count, chosen);
  routing.weights = empty_rows(rows, count, chosen);
  for_tiles<FactorRows<T>>(rows.size(0), [&](std::int64_t first, std::int64_t number, FactorRows<T>& tile) {
    if (!tile.defined()) tile = FactorRows<T>(kRowsPerTile, hidden, matrices_.router.precision());
    put_rows(data<T>(rows) + first * hidden, number, hidden, tile);
    project_into(tile, matrices_.router, weights_.router.bias, number,
                 data<T>(routing.probabilities) + first * experts);
    std::vector<std::int64_t> order(static_cast<std::size_t>(experts));
    for (std::int64_t row = first; row < first + number; ++row) {
      T* p = data<T>(routing.probabilities) + row * experts;
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) { return p[a] > p[b]; });
      std::copy_n(order.begin(), chosen, routing.chosen.template mutable_data_ptr<std::int64_t>() + row * chosen);
      T *raw = data<T>(routing.raw) + row * chosen, *weights = data<T>(routing.weights) + row * chosen;
      if (config_.routing == Routing::top_first) {
        for (std::int64_t k = 0; k < chosen; ++k) raw[k] = p[order[static_cast<std::size_t>(k)]];
        kernels<T>().softmax(raw, T(1), chosen);
      }
      kernels<T>().softmax(p, T(1), experts);
      if (config_.routing == Routing::softmax_first)
        for (std::int64_t k = 0; k < chosen; ++k) raw[k] = p[order[static_cast<std::size_t>(k)]];
      T norm = 1;
      if (config_.normalise > 0) {
        T sum = 0;
        for (std::int64_t k = 0; k < chosen; ++k) sum += std::pow(raw[k], static_cast<T>(config_.normalise));
        norm = std::pow(sum, static_cast<T>(1 / config_.normalise));
      }
      for (std::int64_t k = 0; k < chosen; ++k) weights[k] = static_cast<T>(config_.output_scale) * raw[k] / norm;
    }
  });
}

template <class T>
Tensor ExpertsForward<T>::run(const Tensor& rows, ExpertsTrace* trace) const {
  const std::int64_t count = rows.size(0), hidden = rows.size(1), chosen = config_.chosen;
  ExpertsTrace own;
  ExpertsTrace& routing = trace ? *trace : own;
  choose(rows, routing);
  std::vector<std::vector<std::int64_t>> slots(static_cast<std::size_t>(config_.count));  // of every expert
  for (std::int64_t slot = 0; slot < count * chosen; ++slot) {
    auto& list = slots[static_cast<std::size_t>(routing.chosen.template const_data_ptr<std::int64_t>()[slot])];
    routing.at.push_back(std::ssize(list));
    list.push_back(slot);
  }
  std::vector<MlpForward<T>> experts;
  for (std::size_t e = 0; e < slots.size(); ++e) {
    experts.emplace_back(config_.each, weights_.experts[e], matrices_.experts[e]);
    if (trace) trace->each.push_back(experts.back().trace(rows, std::ssize(slots[e])));
  }
  Tensor made = empty_rows(rows, count * chosen, hidden);
  for_each_tile<typename MlpForward<T>::Workspace>(tiles_of(slots), [&](const Tile& tile, auto& workspace) {
    const MlpForward<T>& expert = experts[tile.list];
    const auto slot = [&](std::int64_t r) { return slots[tile.list][static_cast<std::size_t>(tile.first + r)]; };
    expert.prepare(workspace);
    for (std::int64_t r = 0; r < tile.count; ++r)
      workspace.input.put(r, 0, data<T>(rows) + slot(r) / chosen * hidden, nullptr, hidden);
    expert.run(workspace, tile.count, tile.first, trace ? &trace->each[tile.list] : nullptr,
               [&](std::int64_t column, std::int64_t columns, const T* block) {
                 for (std::int64_t r = 0; r < tile.count; ++r)
                   kernels<T>().scale(block + r * kPanelWidth, data<T>(routing.weights)[slot(r)], columns,
                                      data<T>(made) + slot(r) * hidden + column);
               });
  });
  Tensor result = at::zeros({count, hidden}, rows.options());
  struct Nothing {};
  for_tiles<Nothing>(count, [&](std::int64_t first, std::int64_t number, Nothing&) {
    for (std::int64_t slot = first * chosen; slot < (first + number) * chosen; ++slot)
      kernels<T>().add_scaled(data<T>(made) + slot * hidden, T(1), hidden, data<T>(result) + slot / chosen * hidden);
  });
  if (weights_.shared) add_shared(rows, trace, result);
  return result;
}

template <class T>
void ExpertsForward<T>::add_shared(const Tensor& rows, ExpertsTrace* trace, Tensor& result) const {
  const std::int64_t count = rows.size(0), hidden = rows.size(1);
  const MlpForward<T> expert(shared_config_, *weights_.shared, matrices_.mlp);
  if (trace) trace->shared = expert.trace(rows, count);
  Tensor weight = at::empty({count}, rows.options());
  if (trace) trace->shared_weight = weight;
  for_tiles<typename MlpForward<T>::Workspace>(count, [&](std::int64_t first, std::int64_t number, auto& workspace) {
    expert.prepare(workspace);
    put_rows(data<T>(rows) + first * hidden, number, hidden, workspace.input);
    std::fill_n(data<T>(weight) + first, number, T(1));
    if (weights_.shared_gate)
      project(workspace.input, matrices_.shared_gate, weights_.shared_gate->bias, number,
              [&](std::int64_t, std::int64_t, const T* block) {
                for (std::int64_t r = 0; r < number; ++r) data<T>(weight)[first + r] = sigmoid(block[r * kPanelWidth]);
              });
    expert.run(workspace, number, first, trace ? &trace->shared : nullptr,
               [&](std::int64_t column, std::int64_t columns, const T* block) {
                 for (std::int64_t r = 0; r < number; ++r)
                   kernels<T>().add_scaled(block + r * kPanelWidth, data<T>(weight)[first + r], columns,
                                           data<T>(result) + (first + r) * hidden + column);
               });
  });
}

template <class T>
ExpertsPullBack<T>::ExpertsPullBack(const ExpertsConfig& config, const ExpertsWeights& weights,
                                    const BackwardMatrices<T>& matrices, const ExpertsTrace& trace,
                                    const MlpRules& rules)
    : config_(config), weights_(weights), matrices_(matrices), trace_(trace), shared_config_(shared_config(config)) {
  for (std::size_t e = 0; e < trace.each.size(); ++e)
    each_.emplace_back(config_.each, matrices.experts[e], trace.each[e], rules);
  if (config.shared_inner > 0) shared_.emplace(shared_config_, matrices.mlp, trace.shared, rules);
}

template <class T>
Tensor ExpertsPullBack<T>::run(const Tensor& cotangents, const std::vector<std::int64_t>& rows) const {
  Tensor result = at::zeros(cotangents.sizes(), cotangents.options());
  for (std::int64_t first = 0; first < cotangents.size(0); first += kRowsTogether)
    run_some(cotangents, rows, first, std::min(kRowsTogether, cotangents.size(0) - first), result);
  return result;
}

template <class T>
void ExpertsPullBack<T>::run_some(const Tensor& cotangents, const std::vector<std::int64_t>& rows, std::int64_t first,
                                  std::int64_t count, Tensor& result) const {
  const std::int64_t hidden = cotangents.size(1), chosen = config_.chosen, experts = config_.count;
  const auto traced = [&](std::int64_t packed) { return rows[static_cast<std::size_t>(packed)]; };
  const T* in = data<T>(cotangents);
  std::vector<std::vector<Slot>> slots(static_cast<std::size_t>(experts));
  for (std::int64_t packed = first; packed < first + count; ++packed)
    for (std::int64_t k = 0; k < chosen; ++k) {
      const std::int64_t slot = traced(packed) * chosen + k;
      slots[static_cast<std::size_t>(trace_.chosen.template const_data_ptr<std::int64_t>()[slot])].push_back(
          {packed, slot});
    }
  // By packed row, then by slot.
  const auto at = [&](const Slot& slot) { return (slot.packed - first) * chosen + slot.slot % chosen; };
  Tensor made = empty_rows(cotangents, count * chosen, hidden);
  Tensor of_weights = at::zeros({count, chosen}, cotangents.options());
  for_each_tile<typename MlpPullBack<T>::Workspace>(tiles_of(slots), [&](const Tile& tile, auto& workspace) {
    const MlpPullBack<T>& expert = each_[tile.list];
    const auto slot = [&](std::int64_t r) -> const Slot& {
      return slots[tile.list][static_cast<std::size_t>(tile.first + r)];
    };
    const auto row_of_expert = [&](std::int64_t r) { return trace_.at[static_cast<std::size_t>(slot(r).slot)]; };
    expert.prepare(workspace);
    const Tensor& bias = weights_.experts[tile.list].down.bias;
    for (std::int64_t r = 0; r < tile.count; ++r) {
      const T* row = in + slot(r).packed * hidden;
      workspace.outer.put(r, 0, row, nullptr, hidden);
      if (bias.defined()) data<T>(of_weights)[at(slot(r))] = kernels<T>().dot(row, data<T>(bias), hidden);
    }
    expert.run(
        workspace, tile.count, row_of_expert,
        [&](std::int64_t r, std::int64_t column, std::int64_t columns, T* row) {
          data<T>(of_weights)[at(slot(r))] += expert.dot_with_inner(row_of_expert(r), column, columns, row);
          kernels<T>().scale(row, data<T>(trace_.weights)[slot(r).slot], columns, row);
        },
        [&](std::int64_t column, std::int64_t columns, const T* block) {
          for (std::int64_t r = 0; r < tile.count; ++r)
            std::copy_n(block + r * kPanelWidth, columns, data<T>(made) + at(slot(r)) * hidden + column);
        });
  });
  struct Workspace {
    typename MlpPullBack<T>::Workspace shared;
    FactorRows<T> routing, gate;
  };
  for_tiles<Workspace>(count, [&](std::int64_t start, std::int64_t number, Workspace& own) {
    T* out = data<T>(result) + (first + start) * hidden;
    const auto add = [&](std::int64_t column, std::int64_t columns, const T* block) {
      for (std::int64_t r = 0; r < number; ++r)
        kernels<T>().add_scaled(block + r * kPanelWidth, T(1), columns, out + r * hidden + column);
    };
    for (std::int64_t slot = start * chosen; slot < (start + number) * chosen; ++slot)
      kernels<T>().add_scaled(data<T>(made) + slot * hidden, T(1), hidden, out + (slot / chosen - start) * hidden);
    if (!own.routing.defined()) own.routing = FactorRows<T>(kRowsPerTile, experts, matrices_.router.precision());
    std::vector<T> of_logits(static_cast<std::size_t>(experts));
    for (std::int64_t r = 0; r < number; ++r) {
      through_routing(traced(first + start + r), data<T>(of_weights) + (start + r) * chosen, of_logits.data());
      own.routing.put(r, 0, of_logits.data(), nullptr, experts);
    }
    project(own.routing, matrices_.router, {}, number, add);
    if (!shared_) return;
    const auto row = [&](std::int64_t r) { return traced(first + start + r); };
    shared_->prepare(own.shared);
    T dots[kRowsPerTile] = {};
    const Tensor& bias = weights_.shared->down.bias;
    for (std::int64_t r = 0; r < number; ++r) {
      const T* c = in + (first + start + r) * hidden;
      own.shared.outer.put(r, 0, c, nullptr, hidden);
      if (bias.defined()) dots[r] = kernels<T>().dot(c, data<T>(bias), hidden);
    }
    shared_->run(
        own.shared, number, row,
        [&](std::int64_t r, std::int64_t column, std::int64_t columns, T* x) {
          dots[r] += shared_->dot_with_inner(row(r), column, columns, x);
          kernels<T>().scale(x, data<T>(trace_.shared_weight)[row(r)], columns, x);
        },
        add);
    if (!matrices_.shared_gate.defined()) return;
    if (!own.gate.defined()) own.gate = FactorRows<T>(kRowsPerTile, 1, matrices_.shared_gate.precision());
    for (std::int64_t r = 0; r < number; ++r) {
      const T weight = data<T>(trace_.shared_weight)[row(r)], c = dots[r] * weight * (1 - weight);
      own.gate.put(r, 0, &c, nullptr, 1);
    }
    project(own.gate, matrices_.shared_gate, {}, number, add);
  });
}

template <class T>
void ExpertsPullBack<T>::through_routing(std::int64_t row, const T* of_weights, T* of_logits) const {
  const std::int64_t chosen = config_.chosen, experts = config_.count;
  const T *raw = data<T>(trace_.raw) + row * chosen, *p = data<T>(trace_.probabilities) + row * experts;
  const std::int64_t* index = trace_.chosen.template const_data_ptr<std::int64_t>() + row * chosen;
  std::vector<T> of_raw(of_weights, of_weights + chosen);
  for (T& x : of_raw) x *= static_cast<T>(config_.output_scale);
  if (const auto order = static_cast<T>(config_.normalise); order > 0) {
    // w = raw / |raw|, so d raw_j = d w_j / |raw| - raw_j^(order - 1) sum_i d w_i raw_i / |raw|^(order + 1).
    T sum = 0, along = 0;
    for (std::int64_t k = 0; k < chosen; ++k) {
      sum += std::pow(raw[k], order);
      along += of_raw[static_cast<std::size_t>(k)] * raw[k];
    }
    const T norm = std::pow(sum, 1 / order);
    for (std::int64_t k = 0; k < chosen; ++k) {
      T& x = of_raw[static_cast<std::size_t>(k)];
      x = x / norm - std::pow(raw[k], order - 1) * along / std::pow(norm, order + 1);
    }
  }
  std::fill_n(of_logits, experts, T(0));
  if (config_.routing == Routing::top_first) {
    kernels<T>().softmax_pull_back(raw, of_raw.data(), T(1), chosen, of_raw.data());
    for (std::int64_t k = 0; k < chosen; ++k) of_logits[index[k]] = of_raw[static_cast<std::size_t>(k)];
  } else {
    for (std::int64_t k = 0; k < chosen; ++k) of_logits[index[k]] = of_raw[static_cast<std::size_t>(k)];
    kernels<T>().softmax_pull_back(p, of_logits, T(1), experts, of_logits);
  }
}

template class ExpertsForward<float>;
template class ExpertsForward<double>;
template class ExpertsPullBack<float>;
template class ExpertsPullBack<double>;

}  // namespace whence::transformer
