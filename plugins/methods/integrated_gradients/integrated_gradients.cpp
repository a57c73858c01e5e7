#include "whence/method.h"
#include "whence/plugin.h"
#include "whence/quadrature.h"
#include "whence/target_layer.h"

namespace {

class IntegratedGradients final : public whence::Method {
 public:
  explicit IntegratedGradients(const whence::Params& params) : choice_(whence::path_choice(params)), layer_(params) {
    if (layer_.every()) throw whence::ConfigError("target_layer: a path begins at one layer, not at all; name a block");
  }

  whence::Attribution attribute(const whence::Problem& problem) const override {
    whence::GradientRequest request = choice_.request;
    request.layers = layer_.sites(problem);
    const whence::PathIntegral integral = problem.integrate(choice_.path, request);
    whence::Attribution attribution = whence::attribution_of(integral, choice_.path);
    for (std::string& note : layer_.notes(problem)) attribution.notes.push_back(std::move(note));
    if (choice_.deltas) attribution.step_scores["deltas"] = integral.gap;
    return attribution;
  }

 private:
  whence::PathChoice choice_;
  whence::TargetLayer layer_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_method("integrated_gradients",
                       [](const whence::Params& params) { return std::make_unique<IntegratedGradients>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
