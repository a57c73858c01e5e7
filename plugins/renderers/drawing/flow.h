#pragma once

#include <limits>
#include <string>
#include <vector>

/// Running text whose stretches are drawn differently.
namespace whence::drawing {

struct Piece {
  std::string text;                                         ///< printable (text.h)
  double score = std::numeric_limits<double>::quiet_NaN();  ///< NaN: not coloured
  bool strong = false;                                      ///< stands out
  bool ends_line = false;                                   ///< a new line begins behind it
};

using Line = std::vector<Piece>;

/// Lines of at most `columns` cells, broken at blanks, which the line before keeps, and between pieces where a word has
/// more. A single longer piece stays whole. `columns` >= 1.
std::vector<Line> flow(const std::vector<Piece>& pieces, int columns);

}  // namespace whence::drawing
