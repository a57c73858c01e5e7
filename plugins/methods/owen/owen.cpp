#include <algorithm>

#include "whence/error.h"
#include "whence/method.h"
#include "whence/plugin.h"
#include "whence/shapley.h"

namespace {

using whence::PlayerGroup;
using whence::RemovableUnit;
using whence::Side;

class Owen final : public whence::Method {
 public:
  explicit Owen(const whence::Params& params)
      : units_(params),
        removal_(params),
        samples_(params.get<std::int64_t>("samples")),
        language_(params.get<std::string>("language")) {
    for (const std::string& level : params.get<std::vector<std::string>>("levels")) {
      levels_.push_back(whence::unit_kind(level));
      if (levels_.size() > 1 && levels_.back() >= levels_[levels_.size() - 2])
        throw whence::ConfigError("levels: expected the widest groups first, found '" + level +
                                  "' behind narrower ones");
    }
  }

  whence::Attribution attribute(const whence::Problem& problem) const override {
    whence::CoalitionGame game(problem, units_, removal_);
    std::vector<PlayerGroup> groups;
    for (std::int64_t b = 0; b < game.games(); ++b) groups.push_back(group_of(game, b));
    return game.attribution(whence::owen_values(game, groups, samples_, "owen"));
  }

 private:
  /// The unit of a level that each position of a side lies in.
  std::vector<std::int64_t> index_of(const whence::Problem& problem, std::int64_t sequence, Side side,
                                     whence::UnitKind level) const {
    const auto& own = problem.sequences()[static_cast<std::size_t>(sequence)];
    whence::TokenIds ids;
    for (const whence::Token& token : side == Side::source ? own.source : own.target) ids.push_back(token.id);
    std::vector<std::int64_t> index;
    std::int64_t number = 0;
    const auto text = whence::token_text(problem.model().tokenizer().on(side), ids);
    for (const whence::Label& unit : whence::units_of(text, level, language_)) {
      index.insert(index.end(), static_cast<std::size_t>(unit.span.size()), number);
      ++number;
    }
    return index;
  }

  PlayerGroup group_of(const whence::CoalitionGame& game, std::int64_t sequence) const {
    // Where each player stands: its side, and its unit on every level.
    std::vector<std::vector<std::int64_t>> places(static_cast<std::size_t>(game.players(sequence)));
    for (const Side side : {Side::source, Side::target}) {
      std::vector<std::vector<std::int64_t>> index;
      for (const whence::UnitKind level : levels_) index.push_back(index_of(game.problem(), sequence, side, level));
      for (std::size_t i = 0; i < places.size(); ++i) {
        const RemovableUnit& unit = game.units(sequence)[i];
        if (unit.side != side) continue;
        if (!levels_.empty()) places[i].push_back(side == Side::source ? 0 : 1);
        for (const auto& level : index) places[i].push_back(level[static_cast<std::size_t>(unit.span.start)]);
      }
    }
    return grouped(places, 0, places.size(), 0);
  }

  /// Players [first, end), which stand together on all levels before `level`.
  static PlayerGroup grouped(const std::vector<std::vector<std::int64_t>>& places, std::size_t first, std::size_t end,
                             std::size_t level) {
    if (end - first == 1) return {.player = static_cast<std::int64_t>(first)};
    PlayerGroup group;
    for (std::size_t i = first; i < end;) {
      std::size_t next = i + 1;
      const bool leaf = level == places[i].size();
      while (!leaf && next < end && places[next][level] == places[i][level]) ++next;
      if (!leaf && i == first && next == end) return grouped(places, first, end, level + 1);
      group.members.push_back(leaf ? PlayerGroup{.player = static_cast<std::int64_t>(i)}
                                   : grouped(places, i, next, level + 1));
      i = next;
    }
    return group;
  }

  whence::UnitChoice units_;
  whence::RemovalChoice removal_;
  std::int64_t samples_;
  std::string language_;
  std::vector<whence::UnitKind> levels_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_method("owen", [](const whence::Params& params) { return std::make_unique<Owen>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
