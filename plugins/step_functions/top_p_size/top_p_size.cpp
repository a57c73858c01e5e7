#include <ATen/ops/sort.h>

#include "whence/plugin.h"
#include "whence/step_function.h"

namespace {

class TopPSize final : public whence::StepFunction {
 public:
  explicit TopPSize(const whence::Params& params) : top_p_(params.get<double>("top_p")) {}

  whence::Tensor score(const whence::StepInputs& inputs) const override {
    // From the least likely on: tokens that the rest can do without.
    const whence::Tensor ascending = std::get<0>(inputs.logits.softmax(-1).sort(-1));
    const whence::Tensor dropped = ascending.cumsum(-1) <= 1 - top_p_;
    return (inputs.logits.size(-1) - dropped.sum(-1)).clamp_min(1).to(at::kFloat);
  }

 private:
  double top_p_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_step_function("top_p_size",
                              [](const whence::Params& params) { return std::make_unique<TopPSize>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
