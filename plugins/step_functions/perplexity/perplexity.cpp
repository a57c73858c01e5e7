#include <ATen/ops/exp.h>
#include <ATen/ops/exp2.h>

#include "whence/plugin.h"
#include "whence/token_scores.h"

namespace {

class Perplexity final : public whence::StepFunction {
 public:
  explicit Perplexity(const whence::Params& params)
      : two_to_the_nats_(params.get<std::string>("compat") == "reference") {}

  whence::Tensor score(const whence::StepInputs& inputs) const override {
    const whence::Tensor nats = -whence::target_log_probabilities(inputs);
    return two_to_the_nats_ ? nats.exp2() : nats.exp();
  }

 private:
  bool two_to_the_nats_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_step_function("perplexity",
                              [](const whence::Params& params) { return std::make_unique<Perplexity>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
