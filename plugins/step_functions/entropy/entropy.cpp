#include <ATen/ops/log_softmax.h>

#include <limits>

#include "whence/plugin.h"
#include "whence/step_function.h"

namespace {

class Entropy final : public whence::StepFunction {
 public:
  whence::Tensor score(const whence::StepInputs& inputs) const override {
    // A token ruled out by a logit of minus infinity adds 0 to the sum, not 0 * infinity.
    const whence::Tensor log_probabilities =
        at::log_softmax(inputs.logits, -1).clamp_min(std::numeric_limits<float>::lowest());
    return -(log_probabilities.exp() * log_probabilities).sum(-1);
  }
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_step_function("entropy", [](const whence::Params&) { return std::make_unique<Entropy>(); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
