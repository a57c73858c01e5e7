#pragma once

#include <array>

namespace whence::drawing {

struct Rgb {
  int red = 0, green = 0, blue = 0;
  bool operator==(const Rgb&) const = default;
};

inline constexpr Rgb kBlack{0, 0, 0};
inline constexpr Rgb kWhite{255, 255, 255};

/// Diverging palettes: colours at -1, -0.5, 0, 0.5 and 1, evenly mixed between. Blue to red, which no common colour
/// blindness confuses. After K. Moreland, "Diverging Color Maps for Scientific Visualization", 2009.
using Palette = std::array<Rgb, 5>;
/// Over light grey, for light grounds and terminals.
inline constexpr Palette kLightPalette = {
    {{59, 76, 192}, {141, 176, 254}, {221, 221, 221}, {244, 152, 122}, {180, 4, 38}}};
/// Over dark grey, for dark grounds: what is large is light.
inline constexpr Palette kDarkPalette = {
    {{140, 180, 255}, {70, 105, 190}, {44, 46, 52}, {190, 78, 58}, {255, 150, 120}}};

/// The colour at a position from -1 to 1; clamped beyond.
Rgb heat_color(double position, const Palette& palette = kLightPalette);

/// WCAG 2.1 contrast ratio of two colours, from 1 to 21.
double contrast(const Rgb& a, const Rgb& b);

/// Black or white, whichever is easier to read on a colour.
Rgb letters_on(const Rgb& ground);

}  // namespace whence::drawing
