#include "whence/plugin.h"
#include "whence/token_scores.h"

namespace {

class Logit final : public whence::StepFunction {
 public:
  whence::Tensor score(const whence::StepInputs& inputs) const override { return whence::target_logits(inputs); }
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_step_function("logit", [](const whence::Params&) { return std::make_unique<Logit>(); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
