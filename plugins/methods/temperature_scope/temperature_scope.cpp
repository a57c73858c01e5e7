#include <ATen/TensorOperators.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>

#include "whence/error.h"
#include "whence/final_states.h"
#include "whence/method.h"
#include "whence/plugin.h"
#include "whence/single_text.h"

namespace {

using whence::FinalStates;
using whence::Problem;
using whence::Side;
using whence::Tensor;

/// |J_r^T y / |y||: the gradient at token r of the length of y, the state behind the final norm that predicts a step.
class TemperatureScope final : public whence::Method {
 public:
  whence::Attribution attribute(const Problem& problem) const override {
    const auto* power = static_cast<const FinalStates*>(problem.model().query(FinalStates::kCapability));
    if (!power)
      throw whence::ModelError("method 'temperature_scope': the model " + problem.model().info().name + " (" +
                               problem.model().info().architecture +
                               ") has no derivatives of its final states; use 'saliency', or a model that does");
    std::vector<Tensor> sources, targets;
    for (std::int64_t b = 0; b < problem.batch_size(); ++b) {
      const auto [source, target] = squared_norms(problem, *power, b);
      sources.push_back(source.sqrt());
      targets.push_back(target.sqrt());
    }
    whence::Attribution attribution;
    if (problem.attributes(Side::source)) attribution.source = at::stack(sources);
    if (problem.attributes(Side::target)) attribution.target = at::stack(targets);
    return attribution;
  }

 private:
  static std::pair<Tensor, Tensor> squared_norms(const Problem& problem, const FinalStates& power,
                                                 std::int64_t sequence) {
    const whence::Model& model = problem.model();
    const whence::SingleText text(problem, sequence);
    const whence::Forward forward = model.forward(
        text.inputs, {.positions = text.positions, .trace = true, .sites = {{Side::target, model.info().layers}}});
    const Tensor states = power.final_states(forward.states[0][0].index_select(0, text.positions[0]));
    // Zero has no direction.
    const Tensor directions = states / at::linalg_vector_norm(states, 2, -1, /*keepdim=*/true).clamp_min(1e-30);
    return text.squared_norms([&](std::int64_t first, std::int64_t count, const whence::PullBackRequest& request) {
      return power.pull_back_states(forward, directions.narrow(0, first, count).unsqueeze(0), first, request);
    });
  }
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_method("temperature_scope", [](const whence::Params&) { return std::make_unique<TemperatureScope>(); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
