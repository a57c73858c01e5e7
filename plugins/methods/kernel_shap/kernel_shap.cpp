#include <ATen/ops/linalg_lstsq.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "whence/coalition_game.h"
#include "whence/method.h"
#include "whence/plugin.h"

namespace {

using whence::Coalition;
using whence::CoalitionGame;
using whence::Tensor;

/// min over phi of sum_S w(S) (v(S) - v(none) - sum_{i in S} phi_i)^2 with sum_i phi_i = v(all) - v(none).
class KernelShap final : public whence::Method {
 public:
  explicit KernelShap(const whence::Params& params)
      : units_(params), removal_(params), samples_(params.get<std::int64_t>("samples")) {}

  whence::Attribution attribute(const whence::Problem& problem) const override {
    CoalitionGame game(problem, units_, removal_);
    std::vector<std::vector<Coalition>> coalitions;  // none and all first
    std::vector<std::vector<double>> weights;
    for (std::int64_t b = 0; b < game.games(); ++b) {
      const auto players = static_cast<std::size_t>(game.players(b));
      coalitions.push_back({Coalition(players, false), Coalition(players, true)});
      weights.emplace_back();
      if (std::exp2(static_cast<double>(players)) <= static_cast<double>(samples_))
        add_all(players, coalitions.back(), weights.back());
      else
        add_pairs(problem, b, players, coalitions.back(), weights.back());
    }
    const std::vector<Tensor> worth = game.worth(coalitions);
    std::vector<Tensor> values;
    for (std::int64_t b = 0; b < game.games(); ++b) {
      const auto own = static_cast<std::size_t>(b);
      Tensor value = at::zeros({game.players(b), problem.steps()}, at::kDouble);
      const Tensor presence = CoalitionGame::presence(coalitions[own]).slice(0, 2);
      const Tensor weight = at::tensor(weights[own], at::kDouble);
      const Tensor change = worth[own] - worth[own][0];
      for (const auto& [seen, steps] : game.audiences(b))
        if (seen > 0)
          value.narrow(0, 0, seen)
              .narrow(1, steps.start, steps.size())
              .copy_(solve(presence.narrow(1, 0, seen), weight, change.slice(0, 2).slice(1, steps.start, steps.end),
                           change[1].slice(0, steps.start, steps.end)));
      values.push_back(value);
    }
    return game.attribution(values);
  }

 private:
  /// Every coalition but none and all, by the Shapley kernel.
  static void add_all(std::size_t players, std::vector<Coalition>& coalitions, std::vector<double>& weights) {
    for (std::uint64_t subset = 1; subset + 1 < (std::uint64_t{1} << players); ++subset) {
      Coalition coalition(players);
      for (std::size_t i = 0; i < players; ++i) coalition[i] = subset >> i & 1;
      const double size = static_cast<double>(std::count(coalition.begin(), coalition.end(), true));
      const double all = static_cast<double>(players);
      const double ways = std::exp(std::lgamma(all + 1) - std::lgamma(size + 1) - std::lgamma(all - size + 1));
      coalitions.push_back(std::move(coalition));
      weights.push_back((all - 1) / (ways * size * (all - size)));
    }
  }

  /// Coalitions drawn by the Shapley kernel, each with its complement.
  void add_pairs(const whence::Problem& problem, std::int64_t sequence, std::size_t players,
                 std::vector<Coalition>& coalitions, std::vector<double>& weights) const {
    std::vector<double> up_to(players, 0);  // probability of a size up to each
    for (std::size_t size = 1; size < players; ++size)
      up_to[size] = up_to[size - 1] + 1 / (static_cast<double>(size) * static_cast<double>(players - size));
    for (std::int64_t pair = 0; pair < std::max<std::int64_t>(1, samples_ / 2); ++pair) {
      auto random = problem.random(sequence, "kernel_shap", pair);
      const double place = random.uniform({1}).item<double>() * up_to.back();
      const auto size = std::upper_bound(up_to.begin() + 1, up_to.end() - 1, place) - up_to.begin();
      const Tensor order = random.permutation(static_cast<std::int64_t>(players));
      Coalition coalition(players, false);
      for (std::int64_t i = 0; i < size; ++i) coalition[static_cast<std::size_t>(order[i].item<std::int64_t>())] = true;
      coalitions.push_back(coalition);
      coalition.flip();
      coalitions.push_back(std::move(coalition));
      weights.insert(weights.end(), 2, 1.0);
    }
  }

  /// presence [C,n], weight [C], change [C,T], total [T] -> [n,T]. The last player's value is what the constraint
  /// leaves to it.
  static Tensor solve(const Tensor& presence, const Tensor& weight, const Tensor& change, const Tensor& total) {
    const std::int64_t others = presence.size(1) - 1;
    Tensor values = at::zeros({others + 1, total.size(0)}, at::kDouble);
    if (others > 0) {
      const Tensor last = presence.narrow(1, others, 1), scale = weight.sqrt().unsqueeze(1);
      const Tensor fitted = std::get<0>(at::linalg_lstsq((presence.narrow(1, 0, others) - last) * scale,
                                                         (change - last * total) * scale, std::nullopt, "gelsd"));
      values.narrow(0, 0, others).copy_(fitted);
    }
    values[others].copy_(total - values.narrow(0, 0, others).sum(0));
    return values;
  }

  whence::UnitChoice units_;
  whence::RemovalChoice removal_;
  std::int64_t samples_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_method("kernel_shap",
                       [](const whence::Params& params) { return std::make_unique<KernelShap>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
