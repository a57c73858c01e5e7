#include <ATen/TensorOperators.h>
#include <ATen/ops/logsumexp.h>

#include <limits>

#include "whence/plugin.h"
#include "whence/token_scores.h"

namespace {

/// z[y] - max_{v != y} z[v]: above 0 where the explained token is what the model would write. With a softness s the
/// maximum becomes s log sum_{v != y} exp(z[v] / s).
class ExampleMethodScore final : public whence::StepFunction {
 public:
  explicit ExampleMethodScore(const whence::Params& params) : softness_(params.get<double>("softness")) {}

  whence::Tensor score(const whence::StepInputs& inputs) const override {
    const whence::Tensor others = inputs.logits.scatter(-1, inputs.target_ids.unsqueeze(-1), kOut);
    const whence::Tensor rival = softness_ > 0 ? (others / softness_).logsumexp(-1).mul(softness_) : others.amax(-1);
    return whence::target_logits(inputs) - rival;
  }

 private:
  static constexpr double kOut = -std::numeric_limits<double>::infinity();

  double softness_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_step_function("example_method_score", [](const whence::Params& params) {
    return std::make_unique<ExampleMethodScore>(params);
  });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
