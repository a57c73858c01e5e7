#include "mlp.h"

namespace whence::transformer {
namespace {

/// Below this difference of gates, "deeplift" takes the derivative (the reference toolkit's threshold).
constexpr double kSameGate = 1e-10;

/// Replaces slope[n] by the slopes of the activation between the gates start[n] and x[n], in double: of the difference
/// of two close activations few digits are left.
template <class T>
void slopes_between(Activation activation, const T* start, const T* x, std::int64_t n, T* slope) {
  const std::vector<double> from(start, start + n), to(x, x + n);
  std::vector<double> low(from.size()), high(to.size());
  kernels<double>().activate(activation, from.data(), n, low.data(), nullptr);
  kernels<double>().activate(activation, to.data(), n, high.data(), nullptr);
  for (std::size_t i = 0; i < to.size(); ++i)
    if (const double way = to[i] - from[i]; std::abs(way) >= kSameGate)
      slope[i] = static_cast<T>((high[i] - low[i]) / way);
}

}  // namespace

template <class T>
MlpTrace MlpForward<T>::trace(const Tensor& like, std::int64_t rows) const {
  MlpTrace result;
  result.before_activation = empty_rows(like, rows, config_.inner);
  if (config_.gated) result.up = empty_rows(like, rows, config_.inner);
  return result;
}

template <class T>
void MlpForward<T>::prepare(Workspace& own) const {
  if (own.input.defined()) return;
  own.input = FactorRows<T>(kRowsPerTile, matrices_.up.depth(), matrices_.up.precision());
  own.inner = FactorRows<T>(kRowsPerTile, config_.inner, matrices_.down.precision());
}

template <class T>
MlpPullBack<T>::MlpPullBack(const MlpConfig& config, const MlpBackwardMatrices<T>& matrices, const MlpTrace& trace,
                            const MlpRules& rules)
    : config_(config),
      matrices_(matrices),
      trace_(trace),
      gate_factor_(config.gated ? static_cast<T>(rules.gate_factor) : T(1)) {
  const std::int64_t rows = trace.before_activation.size(0), inner = config.inner;
  slope_ = empty_rows(trace.before_activation, rows, inner);
  activated_ = empty_rows(trace.before_activation, rows, inner);
  struct Nothing {};
  for_tiles<Nothing>(rows, [&](std::int64_t first, std::int64_t count, Nothing&) {
    for (std::int64_t row = first; row < first + count; ++row) {
      const T* x = data<T>(trace_.before_activation) + row * inner;
      T *slope = data<T>(slope_) + row * inner, *active = data<T>(activated_) + row * inner;
      kernels<T>().activate(config_.activation, x, inner, active, slope);
      if (rules.reference)
        slopes_between(config_.activation, data<T>(rules.reference->before_activation) + row * inner, x, inner, slope);
      if (config_.gated) kernels<T>().multiply(slope, data<T>(trace_.up) + row * inner, inner, slope);
    }
  });
}

template <class T>
void MlpPullBack<T>::prepare(Workspace& own) const {
  if (own.outer.defined()) return;
  own.outer = FactorRows<T>(kRowsPerTile, matrices_.down.depth(), matrices_.down.precision());
  own.inner = FactorRows<T>(kRowsPerTile, matrices_.gate_up.depth(), matrices_.gate_up.precision());
}

template <class T>
T MlpPullBack<T>::dot_with_inner(std::int64_t traced, std::int64_t column, std::int64_t columns, const T* x) const {
  const std::int64_t at = traced * config_.inner + column;
  const T* active = data<T>(activated_) + at;
  if (!config_.gated) return kernels<T>().dot(active, x, columns);
  T product[kPanelWidth];
  kernels<T>().multiply(active, data<T>(trace_.up) + at, columns, product);
  return kernels<T>().dot(product, x, columns);
}

template class MlpForward<float>;
template class MlpForward<double>;
template class MlpPullBack<float>;
template class MlpPullBack<double>;

}  // namespace whence::transformer
