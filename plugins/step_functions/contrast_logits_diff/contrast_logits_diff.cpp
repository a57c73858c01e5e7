#include "whence/contrastive_function.h"
#include "whence/plugin.h"
#include "whence/token_scores.h"

namespace {

class ContrastLogitsDiff final : public whence::ContrastiveFunction {
 public:
  using ContrastiveFunction::ContrastiveFunction;

  whence::Tensor score(const whence::StepInputs& inputs) const override {
    return whence::target_logits(inputs) - whence::contrast_logits(inputs);
  }
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_step_function("contrast_logits_diff", [](const whence::Params& params) {
    return std::make_unique<ContrastLogitsDiff>(params);
  });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
