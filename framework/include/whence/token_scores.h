#pragma once

#include <ATen/ops/gather.h>
#include <ATen/ops/log_softmax.h>

#include "whence/step_function.h"

namespace whence {

/// Entries of the explained tokens: [B,T,V] -> [B,T].
inline Tensor at_targets(const Tensor& values, const StepInputs& inputs) {
  return values.gather(-1, inputs.target_ids.unsqueeze(-1)).squeeze(-1);
}

/// Logit of the explained token, z[y]: [B,T].
inline Tensor target_logits(const StepInputs& inputs) { return at_targets(inputs.logits, inputs); }

/// Natural logarithm of the probability of the explained token, log softmax(z)[y]: [B,T].
inline Tensor target_log_probabilities(const StepInputs& inputs) {
  return at_targets(at::log_softmax(inputs.logits, -1), inputs);
}

}  // namespace whence
