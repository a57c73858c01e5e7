#include "palette.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace whence::terminal {
namespace {

constexpr Rgb kBlack{0, 0, 0};
constexpr Rgb kWhite{255, 255, 255};
constexpr std::string_view kReset = "\x1b[0m";

/// Relative luminance of WCAG 2.1.
double luminance(const Rgb& color) {
  const auto linear = [](int channel) {
    const double c = channel / 255.0;
    return c <= 0.04045 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4);
  };
  return 0.2126 * linear(color.red) + 0.7152 * linear(color.green) + 0.0722 * linear(color.blue);
}

Rgb letters_on(const Rgb& background) {
  return contrast(background, kBlack) >= contrast(background, kWhite) ? kBlack : kWhite;
}

/// One of the 256 colours: 16 + 36 r + 6 g + b in a cube of six levels a channel, or 232 + i of a ramp of greys.
struct IndexedColor {
  int index;
  Rgb color;
};

IndexedColor nearest_indexed(const Rgb& color) {
  static constexpr std::array<int, 6> kLevels = {0, 95, 135, 175, 215, 255};
  const auto nearest_level = [](int channel) {
    const auto distance = [&](int level) { return std::abs(level - channel); };
    return static_cast<int>(std::ranges::min_element(kLevels, {}, distance) - kLevels.begin());
  };
  const auto distance = [&](const Rgb& other) {
    const int red = color.red - other.red, green = color.green - other.green, blue = color.blue - other.blue;
    return red * red + green * green + blue * blue;
  };
  const int red = nearest_level(color.red), green = nearest_level(color.green), blue = nearest_level(color.blue);
  const IndexedColor cube{16 + 36 * red + 6 * green + blue, {kLevels[red], kLevels[green], kLevels[blue]}};
  const int step = std::clamp(((color.red + color.green + color.blue) / 3 - 8 + 5) / 10, 0, 23);
  const int level = 8 + 10 * step;
  const IndexedColor grey{232 + step, {level, level, level}};
  return distance(grey.color) < distance(cube.color) ? grey : cube;
}

std::string components(const Rgb& color) {
  return std::to_string(color.red) + ";" + std::to_string(color.green) + ";" + std::to_string(color.blue);
}

}  // namespace

Rgb heat_color(double position) {
  static constexpr std::array<Rgb, 5> kPoints = {
      {{59, 76, 192}, {141, 176, 254}, {221, 221, 221}, {244, 152, 122}, {180, 4, 38}}};
  const double place = (std::clamp(position, -1.0, 1.0) + 1.0) / 2.0 * (kPoints.size() - 1);
  const auto from = std::min(static_cast<std::size_t>(place), kPoints.size() - 2);
  const auto mix = [&](int a, int b) { return static_cast<int>(std::lround(std::lerp(a, b, place - from))); };
  const Rgb &a = kPoints[from], &b = kPoints[from + 1];
  return {mix(a.red, b.red), mix(a.green, b.green), mix(a.blue, b.blue)};
}

double contrast(const Rgb& a, const Rgb& b) {
  const auto [dark, light] = std::minmax({luminance(a), luminance(b)});
  return (light + 0.05) / (dark + 0.05);
}

std::string on_heat(std::string_view text, double position, ColorDepth depth) {
  const Rgb color = heat_color(position);
  std::string out;
  switch (depth) {
    case ColorDepth::none:
      return std::string(text);
    case ColorDepth::ansi256: {
      const IndexedColor indexed = nearest_indexed(color);
      const int letters = letters_on(indexed.color) == kBlack ? 16 : 231;
      out = "\x1b[38;5;" + std::to_string(letters) + ";48;5;" + std::to_string(indexed.index) + "m";
      break;
    }
    case ColorDepth::truecolor:
      out = "\x1b[38;2;" + components(letters_on(color)) + ";48;2;" + components(color) + "m";
      break;
  }
  return out.append(text).append(kReset);
}

std::string bold(std::string_view text, ColorDepth depth) {
  if (depth == ColorDepth::none) return std::string(text);
  return std::string("\x1b[1m").append(text).append(kReset);
}

}  // namespace whence::terminal
