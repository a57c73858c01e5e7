#include "whence/error.h"
#include "whence/method.h"
#include "whence/plugin.h"
#include "whence/quadrature.h"

namespace {

class IntegratedGradients final : public whence::Method {
 public:
  explicit IntegratedGradients(const whence::Params& params)
      : nodes_(nodes(params)),
        multiply_by_inputs_(params.get<bool>("multiply_by_inputs")),
        deltas_(params.get<bool>("return_convergence_delta")) {
    if (deltas_ && !multiply_by_inputs_)
      throw whence::ConfigError(
          "return_convergence_delta: there is no score difference to compare with while multiply_by_inputs is false; "
          "set one of them the other way");
  }

  whence::Attribution attribute(const whence::Problem& problem) const override {
    using whence::Multiply;
    const whence::PathIntegral integral = problem.integrate(
        {.levels = {nodes_}}, {.multiply = multiply_by_inputs_ ? Multiply::input_minus_baseline : Multiply::nothing});
    whence::Attribution attribution{
        .source = integral.source, .target = integral.target, .granularity = integral.granularity};
    if (deltas_) attribution.step_scores["deltas"] = integral.gap;
    return attribution;
  }

 private:
  static whence::Nodes nodes(const whence::Params& params) {
    const auto rule = params.get<std::string>("method");
    whence::Nodes nodes = whence::quadrature(rule, params.get<std::int64_t>("n_steps"));
    // The reference takes 1/n as width between the points of a trapezoid, though they are 1/(n-1) apart.
    if (rule == "riemann_trapezoid" && params.get<std::string>("compat") == "reference")
      for (double& weight : nodes.weights) weight *= 1 - 1.0 / static_cast<double>(nodes.weights.size());
    return nodes;
  }

  whence::Nodes nodes_;
  bool multiply_by_inputs_, deltas_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_method("integrated_gradients",
                       [](const whence::Params& params) { return std::make_unique<IntegratedGradients>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
