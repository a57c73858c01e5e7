#include <ATen/ops/eye.h>
#include <ATen/ops/linalg_solve.h>
#include <ATen/ops/zeros.h>

#include "reference_lime.h"
#include "whence/coalition_game.h"
#include "whence/method.h"
#include "whence/plugin.h"

namespace {

using whence::Coalition;
using whence::CoalitionGame;
using whence::Tensor;

/// Weights w of f_t(z) ~ intercept + w z over random subsets z of the units, by ridge regression in which a subset
/// counts exp(-d^2 / sigma^2), with d = 1 - cos(z, 1) = 1 - sqrt(|z| / n).
class Lime final : public whence::Method {
 public:
  explicit Lime(const whence::Params& params)
      : units_(params),
        removal_(params),
        samples_(params.get<std::int64_t>("samples")),
        mask_prob_(params.get<double>("mask_prob")),
        width_(params.get<double>("kernel_width")),
        alpha_(params.get<double>("alpha")) {}

  whence::Attribution attribute(const whence::Problem& problem) const override {
    CoalitionGame game(problem, units_, removal_);
    std::vector<std::vector<Coalition>> coalitions;
    for (std::int64_t b = 0; b < game.games(); ++b) {
      coalitions.emplace_back();
      for (std::int64_t sample = 0; sample < samples_; ++sample) {
        const Tensor drawn = problem.random(b, "lime", sample).uniform({game.players(b)});
        Coalition coalition;
        for (std::int64_t i = 0; i < drawn.numel(); ++i) coalition.push_back(drawn[i].item<double>() >= mask_prob_);
        coalitions.back().push_back(std::move(coalition));
      }
    }
    const std::vector<Tensor> worth = game.worth(coalitions);
    std::vector<Tensor> weights;
    for (std::int64_t b = 0; b < game.games(); ++b) {
      const auto own = static_cast<std::size_t>(b);
      Tensor weight = at::zeros({game.players(b), problem.steps()}, at::kDouble);
      const Tensor presence = CoalitionGame::presence(coalitions[own]);
      for (const auto& [seen, steps] : game.audiences(b))
        if (seen > 0)
          weight.narrow(0, 0, seen)
              .narrow(1, steps.start, steps.size())
              .copy_(ridge(presence.narrow(1, 0, seen), worth[own].slice(1, steps.start, steps.end)));
      weights.push_back(weight);
    }
    return game.attribution(weights);
  }

 private:
  /// presence [C,n], scores [C,T] -> [n,T]
  Tensor ridge(const Tensor& presence, const Tensor& scores) const {
    const Tensor distance = 1 - presence.mean(1, /*keepdim=*/true).sqrt();
    const Tensor nearness = (-(distance / width_).square()).exp();
    const Tensor share = nearness / nearness.sum();
    const Tensor x = presence - (share * presence).sum(0), y = scores - (share * scores).sum(0);
    const Tensor weighted = (nearness * x).t();
    return at::linalg_solve(weighted.matmul(x) + alpha_ * at::eye(x.size(1), x.options()), weighted.matmul(y));
  }

  whence::UnitChoice units_;
  whence::RemovalChoice removal_;
  std::int64_t samples_;
  double mask_prob_, width_, alpha_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_method("lime", [](const whence::Params& params) -> std::unique_ptr<whence::Method> {
    if (params.get<std::string>("compat") == "reference") return std::make_unique<ReferenceLime>(params);
    return std::make_unique<Lime>(params);
  });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
