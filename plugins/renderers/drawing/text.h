#pragma once

#include <string>
#include <string_view>

namespace whence::drawing {

/// The text with every character that would move the cursor, vanish, reorder or attach to its neighbours written as an
/// escape: controls, line ends, format and bidi marks, unusual blanks, unassigned code points, bytes that are no UTF-8.
/// What comes out is safe to print and as wide as `display_width` says.
std::string printable(std::string_view text);

/// As `printable`, but line ends stay.
std::string printable_lines(std::string_view text);

/// Terminal cells that a printable text takes: none for combining marks, two for wide characters.
int display_width(std::string_view printable);

/// The text itself when it fits, else as many whole characters as fit with an ellipsis. `columns` >= 1.
std::string shorten(std::string_view printable, int columns);

std::string pad_left(std::string_view printable, int columns);
std::string pad_right(std::string_view printable, int columns);

/// `out` with every line broken at blanks so that it takes at most `columns` cells; single longer words stay whole.
std::string wrap(std::string_view printable, int columns);

/// `text` with all occurrences of `from` replaced.
std::string replace_all(std::string_view text, std::string_view from, std::string_view to);

}  // namespace whence::drawing
