#include <ATen/ops/exp.h>

#include "whence/contrastive_function.h"
#include "whence/plugin.h"
#include "whence/token_scores.h"

namespace {

class ContrastProbDiff final : public whence::ContrastiveFunction {
 public:
  explicit ContrastProbDiff(const whence::Params& params)
      : ContrastiveFunction(params), logprob_(params.get<bool>("logprob")) {}

  whence::Tensor score(const whence::StepInputs& inputs) const override {
    const whence::Tensor own = whence::target_log_probabilities(inputs);
    const whence::Tensor other = whence::contrast_log_probabilities(inputs);
    return logprob_ ? own - other : own.exp() - other.exp();
  }

 private:
  bool logprob_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_step_function("contrast_prob_diff",
                              [](const whence::Params& params) { return std::make_unique<ContrastProbDiff>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
