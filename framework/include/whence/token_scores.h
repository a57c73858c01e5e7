#pragma once

#include <ATen/ops/gather.h>
#include <ATen/ops/log_softmax.h>

#include "whence/step_function.h"

namespace whence {

/// Entries of one token for each step: [B,T,V], [B,T] -> [B,T].
inline Tensor at_tokens(const Tensor& values, const Tensor& ids) {
  return values.gather(-1, ids.unsqueeze(-1)).squeeze(-1);
}

/// Logit of the explained token, z[y]: [B,T].
inline Tensor target_logits(const StepInputs& inputs) { return at_tokens(inputs.logits, inputs.target_ids); }

/// Natural logarithm of the probability of the explained token, log softmax(z)[y]: [B,T].
inline Tensor target_log_probabilities(const StepInputs& inputs) {
  return at_tokens(at::log_softmax(inputs.logits, -1), inputs.target_ids);
}

/// Logit of the contrastive token, z_c[y_c]: [B,T].
inline Tensor contrast_logits(const StepInputs& inputs) {
  return at_tokens(inputs.contrast_logits, inputs.contrast_ids);
}

/// Natural logarithm of the probability of the contrastive token, log softmax(z_c)[y_c]: [B,T].
inline Tensor contrast_log_probabilities(const StepInputs& inputs) {
  return at_tokens(at::log_softmax(inputs.contrast_logits, -1), inputs.contrast_ids);
}

}  // namespace whence
