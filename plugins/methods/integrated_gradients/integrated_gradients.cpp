#include "whence/method.h"
#include "whence/plugin.h"
#include "whence/quadrature.h"

namespace {

class IntegratedGradients final : public whence::Method {
 public:
  explicit IntegratedGradients(const whence::Params& params) : choice_(whence::path_choice(params)) {}

  whence::Attribution attribute(const whence::Problem& problem) const override {
    const whence::PathIntegral integral = problem.integrate(choice_.path, choice_.request);
    whence::Attribution attribution = whence::attribution_of(integral, choice_.path);
    if (choice_.deltas) attribution.step_scores["deltas"] = integral.gap;
    return attribution;
  }

 private:
  whence::PathChoice choice_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_method("integrated_gradients",
                       [](const whence::Params& params) { return std::make_unique<IntegratedGradients>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
