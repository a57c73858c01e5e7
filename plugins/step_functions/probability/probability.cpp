#include <ATen/ops/exp.h>

#include "whence/plugin.h"
#include "whence/token_scores.h"

namespace {

class Probability final : public whence::StepFunction {
 public:
  explicit Probability(const whence::Params& params) : logprob_(params.get<bool>("logprob")) {}

  whence::Tensor score(const whence::StepInputs& inputs) const override {
    const whence::Tensor log_probability = whence::target_log_probabilities(inputs);
    return logprob_ ? log_probability : log_probability.exp();
  }

 private:
  bool logprob_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_step_function("probability",
                              [](const whence::Params& params) { return std::make_unique<Probability>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
