#include "whence/shapley.h"

#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

namespace whence {
namespace {

/// The change that a player makes when it joins a coalition.
struct Change {
  std::int64_t player;
  Coalition before;
  double weight;
};

void add_players(const PlayerGroup& group, Coalition& coalition) {
  if (group.player >= 0) coalition[static_cast<std::size_t>(group.player)] = true;
  for (const PlayerGroup& member : group.members) add_players(member, coalition);
}

/// How many changes the exact value takes.
double changes_of(const PlayerGroup& group) {
  if (group.player >= 0) return 1;
  double sum = 0;
  for (const PlayerGroup& member : group.members) sum += changes_of(member);
  return sum * std::exp2(static_cast<double>(group.members.size()) - 1);
}

/// All changes of the players of a group, when `coalition` of the players outside is there.
void add_all(const PlayerGroup& group, const Coalition& coalition, double weight, std::vector<Change>& changes) {
  if (group.player >= 0) {
    changes.push_back({group.player, coalition, weight});
    return;
  }
  const std::size_t count = group.members.size();
  for (std::size_t i = 0; i < count; ++i)
    for (std::uint64_t subset = 0; subset < (std::uint64_t{1} << count); ++subset) {
      if (subset >> i & 1) continue;
      Coalition joined = coalition;
      double size = 0;
      for (std::size_t j = 0; j < count; ++j)
        if (subset >> j & 1) add_players(group.members[j], joined), ++size;
      // |S|! (k - |S| - 1)! / k!
      const double share = std::exp(std::lgamma(size + 1) + std::lgamma(static_cast<double>(count) - size) -
                                    std::lgamma(static_cast<double>(count) + 1));
      add_all(group.members[i], joined, weight * share, changes);
    }
}

/// The players in a random order in which groups stay together.
void add_order(const PlayerGroup& group, RandomStream& random, std::vector<std::int64_t>& order) {
  if (group.player >= 0) order.push_back(group.player);
  const Tensor places = random.permutation(std::ssize(group.members));
  for (std::int64_t i = 0; i < places.numel(); ++i)
    add_order(group.members[static_cast<std::size_t>(places[i].item<std::int64_t>())], random, order);
}

void add_along(const std::vector<std::int64_t>& order, double weight, std::vector<Change>& changes) {
  Coalition coalition(order.size(), false);
  for (const std::int64_t player : order) {
    changes.push_back({player, coalition, weight});
    coalition[static_cast<std::size_t>(player)] = true;
  }
}

std::vector<Change> changes_of(const CoalitionGame& game, std::int64_t index, const PlayerGroup& group,
                               std::int64_t samples, std::string_view purpose) {
  const std::int64_t players = game.players(index);
  std::vector<Change> changes;
  if (players == 0) return changes;
  const Coalition nobody(static_cast<std::size_t>(players), false);
  // Two coalitions a change, but no more than there are.
  if (std::min(2 * changes_of(group), std::exp2(static_cast<double>(players))) <= static_cast<double>(samples)) {
    add_all(group, nobody, 1, changes);
    return changes;
  }
  const std::int64_t pairs = std::max<std::int64_t>(1, samples / (2 * players));
  for (std::int64_t pair = 0; pair < pairs; ++pair) {
    RandomStream random = game.problem().random(index, purpose, pair);
    std::vector<std::int64_t> order;
    add_order(group, random, order);
    add_along(order, 0.5 / static_cast<double>(pairs), changes);
    std::reverse(order.begin(), order.end());
    add_along(order, 0.5 / static_cast<double>(pairs), changes);
  }
  return changes;
}

}  // namespace

PlayerGroup flat_group(std::int64_t players) {
  PlayerGroup group;
  for (std::int64_t player = 0; player < players; ++player) group.members.push_back({.player = player});
  return group;
}

std::vector<Tensor> owen_values(CoalitionGame& game, const std::vector<PlayerGroup>& groups, std::int64_t samples,
                                std::string_view purpose) {
  std::vector<std::vector<Change>> changes;
  std::vector<std::vector<Coalition>> coalitions;  // before and after each change
  for (std::int64_t b = 0; b < game.games(); ++b) {
    changes.push_back(changes_of(game, b, groups[static_cast<std::size_t>(b)], samples, purpose));
    coalitions.emplace_back();
    for (const Change& change : changes.back()) {
      coalitions.back().push_back(change.before);
      coalitions.back().push_back(change.before);
      coalitions.back().back()[static_cast<std::size_t>(change.player)] = true;
    }
  }
  const std::vector<Tensor> worth = game.worth(coalitions);
  std::vector<Tensor> values;
  for (std::int64_t b = 0; b < game.games(); ++b) {
    Tensor value = at::zeros({game.players(b), game.problem().steps()}, at::kDouble);
    const auto& own = changes[static_cast<std::size_t>(b)];
    for (std::size_t c = 0; c < own.size(); ++c) {
      const auto row = static_cast<std::int64_t>(2 * c);
      value[own[c].player] +=
          own[c].weight * (worth[static_cast<std::size_t>(b)][row + 1] - worth[static_cast<std::size_t>(b)][row]);
    }
    values.push_back(value);
  }
  return values;
}

}  // namespace whence
