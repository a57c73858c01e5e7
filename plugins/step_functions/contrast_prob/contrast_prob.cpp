#include <ATen/ops/exp.h>

#include "whence/contrastive_function.h"
#include "whence/plugin.h"
#include "whence/token_scores.h"

namespace {

class ContrastProb final : public whence::ContrastiveFunction {
 public:
  explicit ContrastProb(const whence::Params& params)
      : ContrastiveFunction(params), logprob_(params.get<bool>("logprob")) {}

  whence::Tensor score(const whence::StepInputs& inputs) const override {
    const whence::Tensor log_probability = whence::contrast_log_probabilities(inputs);
    return logprob_ ? log_probability : log_probability.exp();
  }

 private:
  bool logprob_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_step_function("contrast_prob",
                              [](const whence::Params& params) { return std::make_unique<ContrastProb>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
