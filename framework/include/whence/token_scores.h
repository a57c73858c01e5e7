#pragma once

#include <ATen/ops/gather.h>
#include <ATen/ops/logsumexp.h>

#include "whence/step_function.h"

namespace whence {

/// Logit of the explained token, z[y]: [B,T].
inline Tensor target_logits(const StepInputs& inputs) {
  return inputs.logits.gather(-1, inputs.target_ids.unsqueeze(-1)).squeeze(-1);
}

/// Natural logarithm of the probability of the explained token, log softmax(z)[y]: [B,T].
inline Tensor target_log_probabilities(const StepInputs& inputs) {
  return target_logits(inputs) - inputs.logits.logsumexp(-1);
}

}  // namespace whence
