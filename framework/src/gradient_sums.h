#pragma once

#include "leaves.h"
#include "whence/hidden_reduction.h"

namespace whence {

/// What becomes of the gradients of a text: multiplied, made absolute, reduced over hidden units.
class GradientFinish {
 public:
  GradientFinish(ProblemState& state, Leaves& leaves, const GradientRequest& request);

  /// True when hidden units are reduced, so that results hold one number for each token and step.
  bool reduces() const { return reduction_ != nullptr; }
  /// True when that is a sum that may be taken before gradients of other nodes are added.
  bool sums() const { return reduction_ && reduction_->is_sum() && !request_.absolute; }
  /// True when gradients are multiplied by a difference from the baseline.
  bool from_baseline() const { return request_.multiply == Multiply::input_minus_baseline; }
  /// Zeros [B,L,T] or [B,L,T,D] of a side; undefined when it has no leaves.
  Tensor results(Side side) const;
  /// The results and their granularity.
  InputGradients input_gradients(Tensor source, Tensor target) const;

  /// [rows,D] that the gradients of a sequence are multiplied by; undefined: nothing.
  Tensor factor(Side side, std::int64_t sequence) const;
  /// Multiplies gradients [rows,T,D] in place.
  void multiply(Tensor& gradients, const Tensor& factor) const;
  /// Gradients [rows,T,D], multiplied, as results: in place if hidden units are kept, else [rows,T].
  Tensor finish(Tensor gradients) const;

 private:
  ProblemState& state_;
  Leaves& leaves_;
  const GradientRequest request_;
  const HiddenReduction* reduction_;
};

/// A traced pass and the gradients of its steps, handed to `take` a few steps at a time: as `Model::pull_back` gives
/// them, of the steps [first, first + count).
struct TracedPass {
  const ProblemState::RowsOf* rows = nullptr;  ///< null: the sequences as they are
  std::vector<LayerSite> begins;               ///< where `rows` are states of
  Tensor active;                               ///< [B,T] bool: steps that take part; undefined: all
  SharedPrefix shared;
  PullBackRequest ends;  ///< where gradients are taken, and by which rules
  /// Beside `ends.reference`: the pass over the contrastive texts of the reference inputs, where these are live.
  const Forward* contrast_reference = nullptr;
  /// Of the sequences as they are: what it found is remembered, and this is shown the states at the layers of `ends`.
  std::function<void(const Forward&)> show;
};
using TakeGradients = std::function<void(Gradients& gradients, std::int64_t first, std::int64_t count)>;
void run_traced(ProblemState& state, const Pass& pass, const TracedPass& request, const TakeGradients& take);

/// Gradients at attention weights, of the sequences as they are.
void visit_attention_gradients(ProblemState& state, const std::function<void(const AttentionGradient&)>& visit);

/// [B,T]: `total`, the sums of the attributions, minus the differences of the scores at both ends of the path.
Tensor gap_of(ProblemState& state, Leaves& leaves, const Tensor& total);

/// Gradients at the leaves of the sequences as they are.
InputGradients input_gradients(ProblemState& state, const GradientRequest& request);

}  // namespace whence
