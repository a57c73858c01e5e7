#pragma once

#include <memory>
#include <string>
#include <vector>

#include "whence/batch.h"
#include "whence/export.h"
#include "whence/forward.h"
#include "whence/model.h"
#include "whence/progress.h"
#include "whence/sequence.h"
#include "whence/step_function.h"

namespace whence {

/// Perturbed copies of every sequence of a problem. Variant p replaces the embedding rows marked true by the problem's
/// baseline embeddings; marks beyond a sequence's end mean nothing.
struct Variants {
  Tensor target_mask;  ///< [P,L] bool, or undefined: target untouched
  Tensor source_mask;  ///< [P,S] bool, or undefined: source untouched
};

/// Evaluation points on the straight path from the baseline (alpha 0) to the input (alpha 1), and their weights. All
/// attributed sides move together. The default is the input itself.
struct Nodes {
  std::vector<double> alphas{1.0};
  std::vector<double> weights{1.0};
};

/// What the gradient of each row is multiplied by.
enum class Multiply { nothing, input, input_minus_baseline };

struct GradientRequest {
  Multiply multiply = Multiply::nothing;
  bool absolute = false;  ///< take absolute values last
};

struct ObserveRequest {
  bool attentions = false;
  bool layer_states = false;
};

/// A batch of sequences, the steps to explain and the score to explain them by: all that a method needs. It owns the
/// passes through the model (how many variants, nodes and sequences share one), so that a method stays a formula.
/// [thread: one] Tensors are on the CPU, float32; rows and steps beyond a sequence's own hold zeros.
class WHENCE_API Problem {
 public:
  struct Options {
    bool attribute_target = true;   ///< always true for decoder-only models
    bool eos_baseline = false;      ///< replace EOS by the unknown token in baselines, too
    std::int64_t memory_bytes = 0;  ///< budget of one pass; 0: a share of what is free
    Progress progress;
  };

  /// `model` and `score` outlive the problem. Each sequence is run up to its last explained token, so L and S are those
  /// of the longest cut sequence. Throws InputError for empty sequences, steps outside them, or texts longer than the
  /// model's context.
  Problem(const Model& model, const StepFunction& score, std::vector<Sequence> sequences, Options options);
  ~Problem();
  Problem(const Problem&) = delete;
  Problem& operator=(const Problem&) = delete;

  const Model& model() const;
  const std::vector<Sequence>& sequences() const;
  /// Padded ids of the sequences, each cut after its last explained token: what a capability of the model runs on.
  const Inputs& inputs() const;
  /// B, L, S (0 without a source) and T of the padded batch.
  std::int64_t batch_size() const;
  std::int64_t length(Side side) const;
  std::int64_t steps() const;
  /// True when rows of this side are to be attributed.
  bool attributes(Side side) const;
  /// [B,T] bool: steps that exist.
  const Tensor& step_mask() const;
  /// [B,T] int64: position whose logits predict the token of the step (its target position - 1); -1 where there is no
  /// step.
  const Tensor& predicting_positions() const;
  /// [B,L,D] or [B,S,D].
  const Tensor& embeddings(Side side) const;
  const Tensor& baseline_embeddings(Side side) const;

  /// Score of every step of the sequences as they are: [B,T].
  Tensor scores() const;
  /// The same under another step function, from the same pass: [B,T].
  Tensor scores(const StepFunction& function) const;
  /// Score at points of the straight path from baseline to input: [K,B,T].
  Tensor scores(const Nodes& nodes) const;
  /// Score of every step of every variant: [P,B,T]. Variants share passes.
  Tensor scores(const Variants& variants) const;
  /// sum_k weight_k * d score_t / d embedding at node k, then multiplied and made absolute as asked: [B,L,T,D],
  /// [B,S,T,D]. A side that is not attributed is undefined. Throws ConfigError when the score is not differentiable.
  Gradients gradients(const Nodes& nodes = {}, const GradientRequest& request = {}) const;
  /// Attentions and layer states of one pass over the sequences as they are; logits at the steps come with it.
  Forward observe(const ObserveRequest& request) const;

  /// Passes through the model so far, in rows (tokens): what a method really cost.
  struct Cost {
    std::int64_t forward_tokens = 0, backward_tokens = 0, forward_passes = 0, backward_passes = 0;
  };
  const Cost& cost() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace whence
