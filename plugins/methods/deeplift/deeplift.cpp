#include <algorithm>

#include "whence/error.h"
#include "whence/method.h"
#include "whence/plugin.h"
#include "whence/target_layer.h"

namespace {

class DeepLift final : public whence::Method {
 public:
  explicit DeepLift(const whence::Params& params)
      : layer_(params),
        multiply_(params.get<bool>("multiply_by_inputs")),
        deltas_(params.get<bool>("return_convergence_delta")),
        as_reference_(params.get<std::string>("compat") == "reference") {
    if (layer_.every())
      throw whence::ConfigError("target_layer: differences begin at one layer, not at all; name a block");
    if (deltas_ && !multiply_)
      throw whence::ConfigError(
          "return_convergence_delta: there is no score difference to compare with while multiply_by_inputs is false; "
          "set one of them the other way");
  }

  whence::Attribution attribute(const whence::Problem& problem) const override {
    whence::GradientRequest request{
        .multiply = multiply_ ? whence::Multiply::input_minus_baseline : whence::Multiply::nothing,
        .layers = layer_.sites(problem),
        .gap = multiply_};
    whence::Attribution attribution{.notes = layer_.notes(problem)};
    if (rescales(problem.model().info()))
      request.rules = {{"activation", "deeplift"}};
    else
      attribution.notes.push_back(
          "no activation of the model is a ReLU, the only one that compat: reference rescales, so this is the "
          "difference times the plain gradient");
    const whence::InputGradients products = problem.gradients(request);
    attribution.source = products.source;
    attribution.target = products.target;
    attribution.granularity = products.granularity;
    if (multiply_) attribution.step_scores["completeness_gap"] = products.gap;
    if (deltas_) attribution.step_scores["deltas"] = products.gap;
    return attribution;
  }

 private:
  bool rescales(const whence::ModelInfo& model) const {
    return !as_reference_ || std::ranges::find(model.activations, "relu") != model.activations.end();
  }

  whence::TargetLayer layer_;
  bool multiply_, deltas_, as_reference_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_method("deeplift", [](const whence::Params& params) { return std::make_unique<DeepLift>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
