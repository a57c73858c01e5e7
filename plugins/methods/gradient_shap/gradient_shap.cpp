#include "whence/method.h"
#include "whence/plugin.h"
#include "whence/sampled_path.h"
#include "whence/target_layer.h"

namespace {

class GradientShap final : public whence::Method {
 public:
  explicit GradientShap(const whence::Params& params)
      : path_(whence::sampled_path(params, "gradient_shap")), layer_(params) {
    path_.noise = params.get<double>("stdevs");
    if (layer_.every()) throw whence::ConfigError("target_layer: a path begins at one layer, not at all; name a block");
  }

  whence::Attribution attribute(const whence::Problem& problem) const override {
    whence::SampledPath path = path_;
    path.layers = layer_.sites(problem);
    whence::Attribution attribution = whence::attribute_along(problem, path);
    attribution.notes = layer_.notes(problem);
    return attribution;
  }

 private:
  whence::SampledPath path_;
  whence::TargetLayer layer_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_method("gradient_shap",
                       [](const whence::Params& params) { return std::make_unique<GradientShap>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
