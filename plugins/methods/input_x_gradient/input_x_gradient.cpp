#include "whence/method.h"
#include "whence/plugin.h"
#include "whence/target_layer.h"

namespace {

class InputXGradient final : public whence::Method {
 public:
  explicit InputXGradient(const whence::Params& params)
      : layer_(params),
        multiply_(params.get<bool>("multiply_by_inputs") ? whence::Multiply::input : whence::Multiply::nothing) {}

  whence::Attribution attribute(const whence::Problem& problem) const override {
    const whence::InputGradients products =
        layer_.every() ? problem.layer_gradients({.multiply = multiply_})
                       : problem.gradients({.multiply = multiply_, .layers = layer_.sites(problem)});
    return {.source = products.source,
            .target = products.target,
            .granularity = products.granularity,
            .notes = layer_.notes(problem)};
  }

 private:
  whence::TargetLayer layer_;
  whence::Multiply multiply_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_method("input_x_gradient",
                       [](const whence::Params& params) { return std::make_unique<InputXGradient>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
