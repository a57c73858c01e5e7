#include "ansi.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "palette.h"

namespace whence::terminal {
namespace {

using drawing::Rgb;

constexpr std::string_view kReset = "\x1b[0m";

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

std::string on_heat(std::string_view text, double position, ColorDepth depth) {
  const Rgb color = drawing::heat_color(position);
  std::string out;
  switch (depth) {
    case ColorDepth::none:
      return std::string(text);
    case ColorDepth::ansi256: {
      const IndexedColor indexed = nearest_indexed(color);
      const int letters = drawing::letters_on(indexed.color) == drawing::kBlack ? 16 : 231;
      out = "\x1b[38;5;" + std::to_string(letters) + ";48;5;" + std::to_string(indexed.index) + "m";
      break;
    }
    case ColorDepth::truecolor:
      out = "\x1b[38;2;" + components(drawing::letters_on(color)) + ";48;2;" + components(color) + "m";
      break;
  }
  return out.append(text).append(kReset);
}

std::string bold(std::string_view text, ColorDepth depth) {
  if (depth == ColorDepth::none) return std::string(text);
  return std::string("\x1b[1m").append(text).append(kReset);
}

}  // namespace whence::terminal
