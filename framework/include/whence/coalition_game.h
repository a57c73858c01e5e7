#pragma once

#include <unordered_map>
#include <vector>

#include "whence/attribution.h"
#include "whence/removable_units.h"
#include "whence/removal_choice.h"

namespace whence {

/// The players of a coalition that are there, in the order of the units.
using Coalition = std::vector<bool>;

/// For every sequence of a problem a game whose players are its units: a coalition is worth the score of every step
/// when all other units are removed. Coalitions share passes, and are remembered.
class WHENCE_API CoalitionGame {
 public:
  /// All outlive the game. `draw` numbers the random tokens that stand in for removed ones.
  CoalitionGame(const Problem& problem, const UnitChoice& units, const RemovalChoice& removal, std::int64_t draw = 0);

  const Problem& problem() const { return problem_; }
  std::int64_t games() const { return static_cast<std::int64_t>(units_.size()); }
  std::int64_t players(std::int64_t game) const { return std::ssize(units_[static_cast<std::size_t>(game)]); }
  const std::vector<RemovableUnit>& units(std::int64_t game) const { return units_[static_cast<std::size_t>(game)]; }
  /// Neighbouring steps that may depend on the same players, the first so many; those behind are worth nothing to them.
  struct Audience {
    std::int64_t players = 0;
    Span steps;
  };
  std::vector<Audience> audiences(std::int64_t game) const;

  /// Worth [C,T] (double) of the coalitions that are asked of each game. Throws ModelError for a score that is not
  /// finite.
  std::vector<Tensor> worth(const std::vector<std::vector<Coalition>>& coalitions);
  /// Coalitions as [C,players] of 0 and 1 (double).
  static Tensor presence(const std::vector<Coalition>& coalitions);

  /// Scores [players,T] of each game as an attribution of tokens: those of a unit that a step sees share its score
  /// evenly, so that their sum is that of the unit. Tokens that are no players have 0.
  Attribution attribution(const std::vector<Tensor>& scores) const;

 private:
  void evaluate(const std::vector<std::vector<Coalition>>& wanted, std::size_t first, std::size_t count);

  const Problem& problem_;
  const RemovalChoice& removal_;
  std::int64_t draw_;
  std::vector<std::vector<RemovableUnit>> units_;
  std::vector<std::unordered_map<Coalition, Tensor>> known_;  ///< of each game: worth [T]
};

}  // namespace whence
