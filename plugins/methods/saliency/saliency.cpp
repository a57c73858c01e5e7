#include "whence/method.h"
#include "whence/plugin.h"
#include "whence/target_layer.h"

namespace {

class Saliency final : public whence::Method {
 public:
  explicit Saliency(const whence::Params& params) : layer_(params), abs_(params.get<bool>("abs")) {}

  whence::Attribution attribute(const whence::Problem& problem) const override {
    const whence::InputGradients gradients =
        layer_.every() ? problem.layer_gradients({.absolute = abs_})
                       : problem.gradients({.absolute = abs_, .layers = layer_.sites(problem)});
    return {.source = gradients.source,
            .target = gradients.target,
            .granularity = gradients.granularity,
            .notes = layer_.notes(problem)};
  }

 private:
  whence::TargetLayer layer_;
  bool abs_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_method("saliency", [](const whence::Params& params) { return std::make_unique<Saliency>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
