#include "whence/method.h"
#include "whence/plugin.h"

namespace {

/// a_rt = scale * sum_d x_rd * (d score_t / d x_rd): what each token contributes to the score of each step, to first
/// order.
class ExampleMethod final : public whence::Method {
 public:
  explicit ExampleMethod(const whence::Params& params) : scale_(params.get<double>("scale")) {}

  whence::Attribution attribute(const whence::Problem& problem) const override {
    const whence::InputGradients products =
        problem.gradients({.multiply = whence::Multiply::input, .keep_hidden = true});
    // A side that is not attributed is undefined, and stays so.
    const auto per_token = [&](const whence::Tensor& product) {
      return product.defined() ? product.sum(-1).mul(scale_) : product;
    };
    return {.source = per_token(products.source), .target = per_token(products.target)};
  }

 private:
  double scale_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_method("example_method",
                       [](const whence::Params& params) { return std::make_unique<ExampleMethod>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
