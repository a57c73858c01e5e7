#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "whence/export.h"
#include "whence/tensor.h"

namespace whence {

/// What a step function is used for.
enum class StepRole {
  attributed,  ///< its score is explained: it sees passes over changed texts
  recorded,    ///< its score is stored beside the attribution: it sees the texts as they are
};

/// What a step function wants to see beside the logits. What costs passes is only made when it is asked for.
struct StepNeeds {
  bool contrast_ids = false;     ///< the tokens that the explained ones are compared with
  bool contrast_logits = false;  ///< logits after the contrastive texts, from passes over them
  /// Contrastive texts stay as they are, even on a side that they share with a sequence and that a method changes.
  bool fixed_contrast = false;
  std::int64_t dropout_samples = 0;  ///< logits of as many passes with dropout
};

/// What a step function sees: one row per explained step.
struct StepInputs {
  Tensor logits;      ///< [B,T,V] float32, next-token logits of the prefix of each step
  Tensor target_ids;  ///< [B,T] int64, the explained tokens
  /// [B,T] int64, the tokens they are compared with; undefined unless a contrast is needed.
  Tensor contrast_ids = {};
  /// [B,T,V], where the contrastive tokens are looked up: after the contrastive texts if such logits are needed, else
  /// `logits` itself; undefined unless a contrast is needed. A constant where no gradient passes through them.
  Tensor contrast_logits = {};
  std::vector<Tensor> dropout_logits = {};  ///< [B,T,V] of every sample with dropout, constants
};

/// Turns every generation step into one scalar: the score that a method explains, or a number recorded beside it.
/// Immutable after construction.
class WHENCE_API StepFunction {
 public:
  StepFunction() = default;
  StepFunction(const StepFunction&) = delete;
  StepFunction& operator=(const StepFunction&) = delete;
  virtual ~StepFunction();

  /// What `score` reads in a role, by default the logits and ids of the steps alone. Throws ConfigError when the
  /// function makes no sense in it. [thread: any]
  virtual StepNeeds needs(StepRole role) const;

  /// [B,T] float32 from rows of logits; row [b,t] may depend on row [b,t] of the inputs alone. Differentiable in the
  /// logits by autograd unless plugin.yaml says `differentiable: false`. [grad: caller's] [thread: any]
  virtual Tensor score(const StepInputs& inputs) const = 0;

  /// Optional powers, looked up by "name/revision". Null: not offered. [thread: any]
  virtual const void* query(std::string_view capability) const;
};

}  // namespace whence
