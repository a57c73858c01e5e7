#include <ATen/ops/log1p.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "lasso.h"
#include "whence/coalition_game.h"
#include "whence/error.h"
#include "whence/method.h"
#include "whence/plugin.h"
#include "whence/random_coalition.h"

namespace {

using whence::Coalition;
using whence::CoalitionGame;
using whence::Tensor;

/// Weights of a sparse linear model of link(f_t) over random subsets of the units.
class ContextCite final : public whence::Method {
 public:
  explicit ContextCite(const whence::Params& params)
      : units_(params),
        removal_(params),
        ablations_(params.get<std::int64_t>("ablations")),
        held_out_(params.get<std::int64_t>("held_out")),
        alpha_(params.get<double>("alpha")),
        keep_(params.get<double>("keep_prob")),
        logit_(params.get<std::string>("link") == "logit") {}

  whence::Attribution attribute(const whence::Problem& problem) const override {
    CoalitionGame game(problem, units_, removal_);
    std::vector<std::vector<Coalition>> coalitions;
    for (std::int64_t b = 0; b < game.games(); ++b) {
      coalitions.emplace_back();
      for (std::int64_t sample = 0; sample < ablations_ + held_out_; ++sample)
        coalitions.back().push_back(
            whence::random_coalition(problem.random(b, "context_cite", sample), game.players(b), keep_));
    }
    const std::vector<Tensor> worth = game.worth(coalitions);
    std::vector<Tensor> weights;
    Tensor fit = at::zeros({problem.batch_size(), problem.steps()}), correlation = at::zeros_like(fit);
    for (std::int64_t b = 0; b < game.games(); ++b) {
      const auto own = static_cast<std::size_t>(b);
      Tensor weight = at::zeros({game.players(b), problem.steps()}, at::kDouble);
      const Tensor presence = CoalitionGame::presence(coalitions[own]);
      for (const auto& [seen, steps] : game.audiences(b))
        for (std::int64_t t = steps.start; t < steps.end && seen > 0; ++t) {
          const Tensor x = presence.narrow(1, 0, seen), y = linked(worth[own].select(1, t));
          const Surrogate surrogate = lasso(x.slice(0, 0, ablations_), y.slice(0, 0, ablations_), alpha_);
          weight.narrow(0, 0, seen).select(1, t).copy_(surrogate.weights);
          fit[b][t] = surrogate.r2(x.slice(0, 0, ablations_), y.slice(0, 0, ablations_));
          correlation[b][t] = surrogate.correlation(x.slice(0, ablations_), y.slice(0, ablations_));
        }
      weights.push_back(weight);
    }
    whence::Attribution attribution = game.attribution(weights);
    attribution.step_scores = {{"context_cite_r2", fit}, {"context_cite_held_out_correlation", correlation}};
    return attribution;
  }

 private:
  Tensor linked(const Tensor& scores) const {
    if (!logit_) return scores;
    if (scores.lt(0).logical_or(scores > 1).any().item<bool>())
      throw whence::ConfigError(
          "link: logit needs a score between 0 and 1, such as probability; choose link: identity for another score");
    // Scores are float32: what rounds to 0 or 1 is cut where they end.
    const Tensor p = scores.clamp(1e-38, 1 - 6e-8);
    return p.log() - at::log1p(-p);
  }

  whence::UnitChoice units_;
  whence::RemovalChoice removal_;
  std::int64_t ablations_, held_out_;
  double alpha_, keep_;
  bool logit_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_method("context_cite",
                       [](const whence::Params& params) { return std::make_unique<ContextCite>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
