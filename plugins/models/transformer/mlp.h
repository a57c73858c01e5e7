#pragma once

#include "block_weights.h"
#include "row_tiles.h"
#include "stack_config.h"

namespace whence::transformer {

/// What the backward of a feed-forward network needs of its forward.
struct MlpTrace {
  Tensor before_activation;  ///< [R,I] gate x, or up x where there is no gate
  Tensor up;                 ///< [R,I] up x beside a gate
};

/// A feed-forward network over tiles of rows.
template <class T>
class MlpForward {
 public:
  struct Workspace {
    FactorRows<T> input, inner;
  };

  MlpForward(const MlpConfig& config, const MlpWeights& weights, const MlpForwardMatrices<T>& matrices)
      : config_(config), weights_(weights), matrices_(matrices) {}

  Precision precision() const { return matrices_.up.precision(); }
  /// A trace of `rows` rows to be filled.
  MlpTrace trace(const Tensor& like, std::int64_t rows) const;
  /// Makes the workspace ready for tiles, once.
  void prepare(Workspace& own) const;

  /// `own.input` holds `count` rows; use(first column, columns, block) takes what comes out. Their row in `trace`,
  /// unless it is null, is first + r. `factors` [count, inner] multiply what the last projection reads; empty: nothing
  /// does.
  template <class Use>
  void run(Workspace& own, std::int64_t count, std::int64_t first, MlpTrace* trace, const Use& use,
           const std::vector<T>& factors = {}) const {
    const std::int64_t inner = config_.inner;
    alignas(64) T before[kRowsPerTile * kPanelWidth], up[kRowsPerTile * kPanelWidth], active[kPanelWidth];
    const PackedMatrix<T>& activated = config_.gated ? matrices_.gate : matrices_.up;
    const Tensor& bias = config_.gated ? weights_.gate->bias : weights_.up.bias;
    for (std::int64_t p = 0; p < activated.panels(); ++p) {
      const std::int64_t column = p * kPanelWidth, columns = std::min(kPanelWidth, inner - column);
      panel(own, activated, bias, p, columns, count, before);
      if (config_.gated) panel(own, matrices_.up, weights_.up.bias, p, columns, count, up);
      for (std::int64_t r = 0; r < count; ++r) {
        const T *x = before + r * kPanelWidth, *factor = config_.gated ? up + r * kPanelWidth : nullptr;
        kernels<T>().activate(config_.activation, x, columns, active, nullptr);
        if (!factors.empty()) kernels<T>().multiply(active, factors.data() + r * inner + column, columns, active);
        own.inner.put(r, column, active, factor, columns);
        if (!trace) continue;
        const std::int64_t at = (first + r) * inner + column;
        std::copy_n(x, columns, data<T>(trace->before_activation) + at);
        if (factor) std::copy_n(factor, columns, data<T>(trace->up) + at);
      }
    }
    project(own.inner, matrices_.down, weights_.down.bias, count, use);
  }

 private:
  void panel(const Workspace& own, const PackedMatrix<T>& matrix, const Tensor& bias, std::int64_t p,
             std::int64_t columns, std::int64_t count, T* block) const {
    own.input.multiply_panel(matrix, p, count, block, kPanelWidth);
    add_bias(bias, p * kPanelWidth, columns, count, block, kPanelWidth);
  }

  const MlpConfig& config_;
  const MlpWeights& weights_;
  const MlpForwardMatrices<T>& matrices_;
};

/// How the backward of a feed-forward network departs from the derivative.
struct MlpRules {
  double gate_factor = 1;               ///< of the cotangents of both branches of activation(gate) * up
  const MlpTrace* reference = nullptr;  ///< "deeplift": the slope of the activation between this pass and the traced
};

/// The backward of a feed-forward network over tiles of cotangents.
template <class T>
class MlpPullBack {
 public:
  struct Workspace {
    FactorRows<T> outer, inner;
  };

  MlpPullBack(const MlpConfig& config, const MlpBackwardMatrices<T>& matrices, const MlpTrace& trace,
              const MlpRules& rules);

  void prepare(Workspace& own) const;

  /// `own.outer` holds `count` cotangents of what comes out, of the rows traced(r); use(first column, columns, block)
  /// takes those of what goes in. each(r, row, first column, columns, block) may first change the cotangents, with a
  /// row of the block, of what the last projection reads.
  template <class Traced, class Each, class Use>
  void run(Workspace& own, std::int64_t count, const Traced& traced, const Each& each, const Use& use) const {
    const std::int64_t inner = config_.inner;
    project(own.outer, matrices_.down, {}, count, [&](std::int64_t column, std::int64_t columns, T* block) {
      for (std::int64_t r = 0; r < count; ++r) {
        T* row = block + r * kPanelWidth;
        each(r, column, columns, row);
        if (gate_factor_ != 1) kernels<T>().scale(row, gate_factor_, columns, row);
        const std::int64_t at = traced(r) * inner + column;
        own.inner.put(r, column, row, data<T>(slope_) + at, columns);
        if (config_.gated) own.inner.put(r, inner + column, row, data<T>(activated_) + at, columns);
      }
    });
    project(own.inner, matrices_.gate_up, {}, count, use);
  }

  /// What the last projection read at a traced row, times a row of numbers at some columns: their product's sum.
  T dot_with_inner(std::int64_t traced, std::int64_t column, std::int64_t columns, const T* x) const;

 private:
  const MlpConfig& config_;
  const MlpBackwardMatrices<T>& matrices_;
  const MlpTrace& trace_;
  const T gate_factor_;
  Tensor slope_, activated_;  // [R,I] factors of the cotangents of gate and up
};

}  // namespace whence::transformer
