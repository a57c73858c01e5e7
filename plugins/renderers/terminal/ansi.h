#pragma once

#include <string>
#include <string_view>

#include "whence/renderer.h"

namespace whence::terminal {

/// `text` on the colour of a position from -1 to 1, in black or white letters, whichever is easier to read. Without
/// colours: the text.
std::string on_heat(std::string_view text, double position, ColorDepth depth);

/// `text` in bold letters where there are colours.
std::string bold(std::string_view text, ColorDepth depth);

}  // namespace whence::terminal
