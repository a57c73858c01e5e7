#include "whence/plugin.h"
#include "whence/token_scores.h"

namespace {

class CrossEntropy final : public whence::StepFunction {
 public:
  whence::Tensor score(const whence::StepInputs& inputs) const override {
    return -whence::target_log_probabilities(inputs);
  }
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_step_function("crossentropy", [](const whence::Params&) { return std::make_unique<CrossEntropy>(); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
