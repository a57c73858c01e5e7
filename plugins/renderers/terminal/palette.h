#pragma once

#include <string>
#include <string_view>

#include "whence/renderer.h"

namespace whence::terminal {

struct Rgb {
  int red = 0, green = 0, blue = 0;
  bool operator==(const Rgb&) const = default;
};

/// Diverging palette: blue at -1, light grey at 0, red at 1; clamped beyond. After K. Moreland, "Diverging Color Maps
/// for Scientific Visualization", 2009.
Rgb heat_color(double position);

/// WCAG 2.1 contrast ratio of two colours, from 1 to 21.
double contrast(const Rgb& a, const Rgb& b);

/// `text` on the colour of `position`, in black or white letters, whichever is easier to read. Without colours: the
/// text.
std::string on_heat(std::string_view text, double position, ColorDepth depth);

/// `text` in bold letters where there are colours.
std::string bold(std::string_view text, ColorDepth depth);

}  // namespace whence::terminal
