#pragma once

#include <optional>

#include "contrast_texts.h"
#include "pass_plan.h"
#include "whence/forward.h"
#include "whence/step_function.h"

namespace whence {

class ProblemState;

/// Throws ConfigError when a function needs passes with dropout and the model has none.
WHENCE_API void require_dropout(const StepNeeds& needs, const Model& model);

/// Texts that went through the model together, and which of their steps are scored.
struct ScoredPass {
  const std::vector<Unit>& units;
  const Inputs& inputs;
  std::int64_t first_step = 0;
  const Tensor& positions;  ///< [U,R'] that the steps are read at, ProblemState::reads rows each; -1: not scored
};

/// Shows step functions what they need of passes, and makes the passes they need beside those of a method.
class StepScoring {
 public:
  explicit StepScoring(ProblemState& state) : state_(state) {}

  /// Makes what a function needs once for all passes, so that none of it falls into one. Throws InputError for
  /// sequences without a fitting contrast, ConfigError for a model without dropout and for a comparison of a text with
  /// itself.
  void prepare(const StepFunction& function, StepRole role);
  /// Makes the logits of the contrastive texts as they are, for scores whose contrast does not change with a pass.
  void prepare_fixed_contrast();
  /// True when contrastive texts change with the texts, so that each pass needs its own over them.
  bool live(const StepFunction& function, StepRole role);
  /// True when the function can be scored from logits of the sequences as they are, without a further pass.
  bool needs_logits_alone(const StepFunction& function, StepRole role);
  /// What passes hold beside those of the method.
  PassPlan::Beside beside(const StepFunction& function, StepRole role);
  /// Rows of the contrastive texts.
  std::vector<PassPlan::Rows> contrast_rows();
  /// Bytes that are held between passes.
  std::int64_t held() const;

  /// Scores [U,R'] of the rows that are read under a prepared function, zero where there is none. `contrast` is a live
  /// pass over the contrastive texts that was made already.
  Tensor row_scores(const StepFunction& function, StepRole role, const Tensor& logits, const ScoredPass& pass,
                    const Forward* contrast = nullptr);
  /// Scores [U,T'] of the steps from those of the rows that they read: where spans of steps are explained, the sum or
  /// mean of those of their steps.
  Tensor of_steps(const Tensor& row_scores, const ScoredPass& pass) const;
  /// The scores of rows under the score that is explained; turns the logits into the cotangents of the scores of steps,
  /// and those of a live contrast, too. Without one the contrastive texts are taken as they are.
  Tensor scores_to_cotangents(Tensor& logits, const ScoredPass& pass, Forward* contrast);

  /// A pass over the contrastive texts of another one.
  Forward contrast_pass(const ScoredPass& pass, bool trace);
  /// Of the places where gradients are taken those that contrastive texts share; none when attentions are shown, since
  /// those of another pass are others.
  PullBackRequest shared_ends(const PullBackRequest& ends);
  /// Adds gradients at shared places to those of the texts.
  static void add_shared(Gradients& gradients, const PullBackRequest& ends, const Gradients& contrast,
                         const PullBackRequest& shared, const std::vector<Unit>& units);

 private:
  const ContrastTexts& contrast();
  /// Logits [B,T,V] of the contrastive texts as they are.
  const Tensor& fixed_logits();
  std::vector<Tensor> dropout_logits(const StepNeeds& needs, const ScoredPass& pass) const;

  /// What a function sees of a pass, some texts at a time.
  struct Shown {
    StepNeeds needs;
    std::vector<Tensor> samples;  ///< with dropout
    Tensor live;                  ///< logits of contrastive texts; undefined: those of the texts as they are
  };
  StepInputs inputs_of(const Shown& shown, const ScoredPass& pass, std::int64_t first, const Tensor& logits,
                       const Tensor& live);

  ProblemState& state_;
  std::optional<ContrastTexts> contrast_;
  Tensor fixed_logits_;
};

}  // namespace whence
