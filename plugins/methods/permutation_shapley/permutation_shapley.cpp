#include "whence/method.h"
#include "whence/plugin.h"
#include "whence/shapley.h"

namespace {

class PermutationShapley final : public whence::Method {
 public:
  explicit PermutationShapley(const whence::Params& params)
      : units_(params), removal_(params), samples_(params.get<std::int64_t>("samples")) {}

  whence::Attribution attribute(const whence::Problem& problem) const override {
    whence::CoalitionGame game(problem, units_, removal_);
    std::vector<whence::PlayerGroup> groups;
    for (std::int64_t b = 0; b < game.games(); ++b) groups.push_back(whence::flat_group(game.players(b)));
    return game.attribution(whence::owen_values(game, groups, samples_, "permutation_shapley"));
  }

 private:
  whence::UnitChoice units_;
  whence::RemovalChoice removal_;
  std::int64_t samples_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_method("permutation_shapley",
                       [](const whence::Params& params) { return std::make_unique<PermutationShapley>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
