#pragma once

#include "mlp.h"

namespace whence::transformer {

/// What the backward of a mixture of experts needs of its forward. A slot is one of the K experts that a row takes.
struct ExpertsTrace {
  Tensor probabilities;          ///< [R,E] softmax of the router's logits
  Tensor chosen;                 ///< [R,K] int64
  Tensor raw;                    ///< [R,K] weights of the chosen before they are normalised
  Tensor weights;                ///< [R,K] weights of the chosen
  std::vector<MlpTrace> each;    ///< of every expert, with rows of its own
  std::vector<std::int64_t> at;  ///< [R * K] row of each slot in the trace of its expert
  MlpTrace shared;
  Tensor shared_weight;  ///< [R]
};

/// The expert that all rows take.
inline MlpConfig shared_config(const ExpertsConfig& config) {
  MlpConfig result = config.each;
  result.inner = config.shared_inner;
  return result;
}

/// A mixture of experts over the rows of a pass.
template <class T>
class ExpertsForward {
 public:
  ExpertsForward(const ExpertsConfig& config, const ExpertsWeights& weights, const ForwardMatrices<T>& matrices)
      : config_(config), shared_config_(shared_config(config)), weights_(weights), matrices_(matrices) {}

  /// Normed rows [R,D] -> what the experts make of them, [R,D]. Fills `trace` when it is not null.
  Tensor run(const Tensor& rows, ExpertsTrace* trace) const;

 private:
  /// Fills all of `routing` but the traces of the experts.
  void choose(const Tensor& rows, ExpertsTrace& routing) const;
  void add_shared(const Tensor& rows, ExpertsTrace* trace, Tensor& result) const;

  const ExpertsConfig& config_;
  MlpConfig shared_config_;
  const ExpertsWeights& weights_;
  const ForwardMatrices<T>& matrices_;
};

/// The backward of a mixture of experts: which experts a row takes is a constant.
template <class T>
class ExpertsPullBack {
 public:
  ExpertsPullBack(const ExpertsConfig& config, const ExpertsWeights& weights, const BackwardMatrices<T>& matrices,
                  const ExpertsTrace& trace, const MlpRules& rules);

  /// Cotangents [C,D] of what the experts made of traced rows `rows` [C] -> those of the normed rows, [C,D].
  Tensor run(const Tensor& cotangents, const std::vector<std::int64_t>& rows) const;

 private:
  /// A slot of a packed row.
  struct Slot {
    std::int64_t packed, slot;
  };

  void run_some(const Tensor& cotangents, const std::vector<std::int64_t>& rows, std::int64_t first, std::int64_t count,
                Tensor& result) const;
  /// Cotangents of the weights of a traced row's slots [K] -> those of the router's logits [E].
  void through_routing(std::int64_t row, const T* of_weights, T* of_logits) const;

  const ExpertsConfig& config_;
  const ExpertsWeights& weights_;
  const BackwardMatrices<T>& matrices_;
  const ExpertsTrace& trace_;
  MlpConfig shared_config_;
  std::vector<MlpPullBack<T>> each_;
  std::optional<MlpPullBack<T>> shared_;
};

}  // namespace whence::transformer
