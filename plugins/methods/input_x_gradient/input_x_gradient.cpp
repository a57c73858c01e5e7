#include "whence/method.h"
#include "whence/plugin.h"

namespace {

class InputXGradient final : public whence::Method {
 public:
  whence::Attribution attribute(const whence::Problem& problem) const override {
    whence::InputGradients products = problem.gradients({.multiply = whence::Multiply::input});
    return {.source = products.source, .target = products.target, .granularity = products.granularity};
  }
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_method("input_x_gradient", [](const whence::Params&) { return std::make_unique<InputXGradient>(); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
