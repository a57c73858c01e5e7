#pragma once

#include <string_view>
#include <vector>

#include "whence/coalition_game.h"

namespace whence {

/// A player, or players that join coalitions together.
struct PlayerGroup {
  std::int64_t player = -1;  ///< of a single one
  std::vector<PlayerGroup> members;
};

/// All players of a game side by side.
WHENCE_API PlayerGroup flat_group(std::int64_t players);

/// Owen's value of every player in the levels structure of nested groups (Winter 1989), which of a flat group is
/// Shapley's: the mean change that it makes when players join in all orders in which groups stay together; [players,T]
/// for each game. Exact where that takes at most `samples` coalitions, else the mean over random orders and their
/// reverses (arXiv:2104.12199), as many as fit into `samples`, one pair at least. They sum to what all players change.
/// `purpose` keys what is drawn.
WHENCE_API std::vector<Tensor> owen_values(CoalitionGame& game, const std::vector<PlayerGroup>& groups,
                                           std::int64_t samples, std::string_view purpose);

}  // namespace whence
