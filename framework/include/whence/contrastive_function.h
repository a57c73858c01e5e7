#pragma once

#include "whence/export.h"
#include "whence/params.h"
#include "whence/step_function.h"

namespace whence {

/// A step function that compares every explained token with one of another text. Where it is explained, the other token
/// is looked up in the logits of the text itself, unless the parameter `contrast_force_inputs` asks for passes over the
/// contrastive text; where it is recorded, these are always made. With `compat: reference` such passes stay as they are
/// even where a method changes a side of the text that the contrastive one shares.
class WHENCE_API ContrastiveFunction : public StepFunction {
 public:
  /// Reads `contrast_force_inputs` and `compat`.
  explicit ContrastiveFunction(const Params& params);

  StepNeeds needs(StepRole role) const override;

 private:
  bool force_inputs_, fixed_;
};

}  // namespace whence
