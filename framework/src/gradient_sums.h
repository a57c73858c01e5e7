#pragma once

#include "problem_state.h"
#include "whence/hidden_reduction.h"

namespace whence {

/// What becomes of the gradients of a text: multiplied, made absolute, reduced over hidden units.
class GradientFinish {
 public:
  GradientFinish(ProblemState& state, const GradientRequest& request);

  /// True when hidden units are reduced, so that results hold one number for each token and step.
  bool reduces() const { return reduction_ != nullptr; }
  /// True when that is a sum that may be taken before gradients of other nodes are added.
  bool sums() const { return reduction_ && reduction_->is_sum() && !request_.absolute; }
  /// Zeros [B,L,T] or [B,L,T,D] of a side; undefined when it is not attributed.
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
  const GradientRequest request_;
  const HiddenReduction* reduction_;
};

/// A traced pass and the gradients of its steps, handed to `take` a few steps at a time: source and target gradients as
/// `Model::pull_back` gives them, of the steps [first, first + count).
struct TracedPass {
  const ProblemState::RowsOf* rows = nullptr;  ///< null: the sequences as they are
  Tensor active;                               ///< [B,T] bool: steps that take part; undefined: all
  SharedPrefix shared;
  bool source = false, target = false;
  bool first_changed_only = false;
  bool remember = false;                                     ///< its logits are those of the unchanged sequences
  std::function<void(const AttentionGradient&)> attentions;  ///< as the pass counts sequences and steps
};
using TakeGradients = std::function<void(Gradients& gradients, std::int64_t first, std::int64_t count)>;
void run_traced(ProblemState& state, const Pass& pass, const TracedPass& request, const TakeGradients& take);

/// Gradients at attention weights, of the sequences as they are.
void visit_attention_gradients(ProblemState& state, const std::function<void(const AttentionGradient&)>& visit);

/// Gradients at the sequences as they are.
InputGradients input_gradients(ProblemState& state, const GradientRequest& request);

}  // namespace whence
