#include "whence/contrastive_function.h"
#include "whence/plugin.h"
#include "whence/token_scores.h"

namespace {

class ContrastLogits final : public whence::ContrastiveFunction {
 public:
  using ContrastiveFunction::ContrastiveFunction;

  whence::Tensor score(const whence::StepInputs& inputs) const override { return whence::contrast_logits(inputs); }
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_step_function("contrast_logits",
                              [](const whence::Params& params) { return std::make_unique<ContrastLogits>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
