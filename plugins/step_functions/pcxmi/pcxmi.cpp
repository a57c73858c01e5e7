#include <numbers>

#include "whence/contrastive_function.h"
#include "whence/plugin.h"
#include "whence/token_scores.h"

namespace {

class Pcxmi final : public whence::ContrastiveFunction {
 public:
  using ContrastiveFunction::ContrastiveFunction;

  whence::Tensor score(const whence::StepInputs& inputs) const override {
    return (whence::contrast_log_probabilities(inputs) - whence::target_log_probabilities(inputs)) / std::numbers::ln2;
  }
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_step_function("pcxmi", [](const whence::Params& params) { return std::make_unique<Pcxmi>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
