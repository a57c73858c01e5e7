#include <ATen/ops/exp.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/std.h>

#include "whence/plugin.h"
#include "whence/token_scores.h"

namespace {

using whence::Tensor;

class McDropoutProbAvg final : public whence::StepFunction {
 public:
  explicit McDropoutProbAvg(const whence::Params& params)
      : samples_(params.get<std::int64_t>("n_mcd_steps")), logprob_(params.get<bool>("logprob")) {}

  whence::StepNeeds needs(whence::StepRole) const override { return {.dropout_samples = samples_}; }

  Tensor score(const whence::StepInputs& inputs) const override {
    // The samples are constants, so that a gradient would be that of one of three parts: there is none.
    const Tensor clean = score_of(inputs.logits.detach(), inputs);
    std::vector<Tensor> samples;
    for (const Tensor& logits : inputs.dropout_logits) samples.push_back(score_of(logits, inputs));
    const Tensor all = at::stack(samples).to(at::kDouble);
    return ((clean - all.mean(0)) / all.std(0, /*unbiased=*/true)).to(at::kFloat);
  }

 private:
  Tensor score_of(const Tensor& logits, const whence::StepInputs& inputs) const {
    const Tensor log_probability = whence::at_tokens(at::log_softmax(logits, -1), inputs.target_ids);
    return logprob_ ? log_probability : log_probability.exp();
  }

  std::int64_t samples_;
  bool logprob_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_step_function("mc_dropout_prob_avg",
                              [](const whence::Params& params) { return std::make_unique<McDropoutProbAvg>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
