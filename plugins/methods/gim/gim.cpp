#include "whence/error.h"
#include "whence/method.h"
#include "whence/plugin.h"
#include "whence/target_layer.h"

namespace {

using whence::Multiply;

Multiply multiply_of(const std::string& name) {
  if (name == "nothing") return Multiply::nothing;
  return name == "input" ? Multiply::input : Multiply::input_minus_baseline;
}

class Gim final : public whence::Method {
 public:
  explicit Gim(const whence::Params& params)
      : layer_(params),
        temperature_(params.get<double>("temperature")),
        factor_(params.get<double>("product_factor")),
        freeze_norms_(params.get<bool>("freeze_norms")),
        multiply_(multiply_of(params.get<std::string>("multiply"))) {
    if (!(temperature_ > 0)) throw whence::ConfigError("temperature: expected a number above 0; 1 changes nothing");
    if (layer_.every() && multiply_ == Multiply::input_minus_baseline)
      throw whence::ConfigError(
          "multiply: differences from the baseline are taken at one layer, not at all; set it to input or nothing");
  }

  whence::Attribution attribute(const whence::Problem& problem) const override {
    whence::GradientRequest request{.multiply = multiply_, .rules = rules(problem.model().info())};
    if (!layer_.every()) {
      request.layers = layer_.sites(problem);
      request.gap = multiply_ == Multiply::input_minus_baseline;
    }
    const whence::InputGradients products =
        layer_.every() ? problem.layer_gradients(request) : problem.gradients(request);
    whence::Attribution attribution{.source = products.source,
                                    .target = products.target,
                                    .granularity = products.granularity,
                                    .notes = layer_.notes(problem)};
    if (request.gap) attribution.step_scores["completeness_gap"] = products.gap;
    return attribution;
  }

 private:
  std::vector<whence::BackwardRule> rules(const whence::ModelInfo& model) const {
    std::vector<whence::BackwardRule> rules;
    if (freeze_norms_) rules.push_back({"norm", "frozen"});
    if (temperature_ != 1) rules.push_back({"softmax", "tempered", temperature_});
    if (factor_ == 1) return rules;
    rules.push_back({"attention_product", "scaled", factor_});
    if (model.gated) rules.push_back({"gate_product", "scaled", factor_});
    return rules;
  }

  whence::TargetLayer layer_;
  double temperature_, factor_;
  bool freeze_norms_;
  Multiply multiply_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_method("gim", [](const whence::Params& params) { return std::make_unique<Gim>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
