#pragma once

#include "whence/coalition_game.h"
#include "whence/random.h"

namespace whence {

/// A coalition in which each of the players is there with probability `keep`.
WHENCE_API Coalition random_coalition(RandomStream random, std::int64_t players, double keep);

}  // namespace whence
