#include "whence/coalition_game.h"
#include "whence/error.h"
#include "whence/method.h"
#include "whence/plugin.h"

namespace {

using whence::Tensor;

/// a_ut = f_t(X) - f_t(X without unit u)
class LeaveOneOut final : public whence::Method {
 public:
  explicit LeaveOneOut(const whence::Params& params)
      : units_(params), removal_(params), draws_(params.get<std::int64_t>("draws")) {
    if (draws_ > 1 && !removal_.is_random())
      throw whence::ConfigError("draws: only random tokens are drawn; choose removal: token with token: random");
  }

  whence::Attribution attribute(const whence::Problem& problem) const override {
    std::vector<Tensor> sums;
    for (std::int64_t draw = 0; draw < draws_; ++draw) {
      whence::CoalitionGame game(problem, units_, removal_, draw);
      std::vector<std::vector<whence::Coalition>> coalitions(static_cast<std::size_t>(game.games()));
      for (std::int64_t b = 0; b < game.games(); ++b)
        for (std::int64_t i = 0; i < game.players(b); ++i) {
          whence::Coalition others(static_cast<std::size_t>(game.players(b)), true);
          others[static_cast<std::size_t>(i)] = false;
          coalitions[static_cast<std::size_t>(b)].push_back(std::move(others));
        }
      const std::vector<Tensor> worth = game.worth(coalitions);
      for (std::int64_t b = 0; b < game.games(); ++b) {
        const Tensor drops = (problem.scores()[b] - worth[static_cast<std::size_t>(b)]) / draws_;
        if (draw == 0)
          sums.push_back(drops);
        else
          sums[static_cast<std::size_t>(b)] += drops;
      }
      if (draw + 1 == draws_) return game.attribution(sums);
    }
    return {};
  }

 private:
  whence::UnitChoice units_;
  whence::RemovalChoice removal_;
  std::int64_t draws_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_method("leave_one_out",
                       [](const whence::Params& params) { return std::make_unique<LeaveOneOut>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
