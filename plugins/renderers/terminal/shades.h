#pragma once

#include <array>
#include <cmath>
#include <string_view>

namespace whence::terminal {

/// Blocks that say a magnitude without colours, from nothing to all.
inline constexpr std::array<std::string_view, 5> kShades = {" ", "░", "▒", "▓", "█"};

/// Of a position from -1 to 1 on the colour scale.
inline std::string_view shade(double heat) { return kShades[std::lround(std::abs(heat) * (kShades.size() - 1))]; }

}  // namespace whence::terminal
