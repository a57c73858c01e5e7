#include "whence/method.h"
#include "whence/plugin.h"
#include "whence/sampled_path.h"

namespace {

class GradientShap final : public whence::Method {
 public:
  explicit GradientShap(const whence::Params& params) : path_(whence::sampled_path(params, "gradient_shap")) {
    path_.noise = params.get<double>("stdevs");
  }

  whence::Attribution attribute(const whence::Problem& problem) const override {
    return whence::attribute_along(problem, path_);
  }

 private:
  whence::SampledPath path_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_method("gradient_shap",
                       [](const whence::Params& params) { return std::make_unique<GradientShap>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
