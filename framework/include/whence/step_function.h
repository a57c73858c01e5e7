#pragma once

#include <string_view>

#include "whence/export.h"
#include "whence/tensor.h"

namespace whence {

/// What a step function sees: one row per explained step.
struct StepInputs {
  Tensor logits;      ///< [B,T,V] float32, next-token logits of the prefix of each step
  Tensor target_ids;  ///< [B,T] int64, the explained tokens
};

/// Turns every generation step into one scalar: the score that a method explains, or a number recorded beside it.
/// Immutable after construction.
class WHENCE_API StepFunction {
 public:
  StepFunction() = default;
  StepFunction(const StepFunction&) = delete;
  StepFunction& operator=(const StepFunction&) = delete;
  virtual ~StepFunction();

  /// [B,T] float32 from rows of logits; row [b,t] may depend on row [b,t] of the inputs alone. Differentiable in the
  /// logits by autograd unless plugin.yaml says `differentiable: false`. [grad: caller's] [thread: any]
  virtual Tensor score(const StepInputs& inputs) const = 0;

  /// Optional powers, looked up by "name/revision". Null: not offered. [thread: any]
  virtual const void* query(std::string_view capability) const;
};

}  // namespace whence
