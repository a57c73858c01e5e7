#include "whence/method.h"
#include "whence/plugin.h"

namespace {

class Saliency final : public whence::Method {
 public:
  explicit Saliency(const whence::Params& params) : abs_(params.get<bool>("abs")) {}

  whence::Attribution attribute(const whence::Problem& problem) const override {
    whence::InputGradients gradients = problem.gradients({.absolute = abs_});
    return {.source = gradients.source, .target = gradients.target, .granularity = gradients.granularity};
  }

 private:
  bool abs_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_method("saliency", [](const whence::Params& params) { return std::make_unique<Saliency>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
