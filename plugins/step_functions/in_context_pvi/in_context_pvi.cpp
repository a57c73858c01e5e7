#include "whence/contrastive_function.h"
#include "whence/plugin.h"
#include "whence/token_scores.h"

namespace {

class InContextPvi final : public whence::ContrastiveFunction {
 public:
  using ContrastiveFunction::ContrastiveFunction;

  whence::Tensor score(const whence::StepInputs& inputs) const override {
    return whence::contrast_log_probabilities(inputs) - whence::target_log_probabilities(inputs);
  }
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_step_function("in_context_pvi",
                              [](const whence::Params& params) { return std::make_unique<InContextPvi>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
