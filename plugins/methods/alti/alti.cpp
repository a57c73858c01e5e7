#include "whence/method.h"
#include "whence/plugin.h"
#include "whence/proximity.h"
#include "whence/rollout.h"

namespace {

class Alti final : public whence::Method {
 public:
  explicit Alti(const whence::Params& params)
      : order_(params.get<std::string>("distance") == "l1" ? 1 : 2), per_layer_(params.get<bool>("per_layer")) {}

  whence::Attribution attribute(const whence::Problem& problem) const override {
    whence::Rollouts rollouts(problem, per_layer_);
    problem.decompose("alti", /*weights_only=*/false, [&](const whence::BlockParts& block) {
      whence::Rollout& text = rollouts[block.sequence];
      text.mix(block.side, whence::mixture_by_proximity(block.attention, /*own=*/true, order_).positions);
      if (block.cross.defined()) {
        const whence::RowMixture source = whence::mixture_by_proximity(block.cross, /*own=*/false, order_);
        text.mix_source(source.kept, source.positions);
      }
      if (block.side == whence::Side::target) rollouts.keep(block.sequence, block.layer);
    });
    return rollouts.attribution();
  }

 private:
  double order_;
  bool per_layer_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_method("alti", [](const whence::Params& params) { return std::make_unique<Alti>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
