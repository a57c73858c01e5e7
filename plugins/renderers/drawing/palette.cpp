#include "palette.h"

#include <algorithm>
#include <cmath>

namespace whence::drawing {
namespace {

/// Relative luminance of WCAG 2.1.
double luminance(const Rgb& color) {
  const auto linear = [](int channel) {
    const double c = channel / 255.0;
    return c <= 0.04045 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4);
  };
  return 0.2126 * linear(color.red) + 0.7152 * linear(color.green) + 0.0722 * linear(color.blue);
}

}  // namespace

Rgb heat_color(double position, const Palette& palette) {
  const double place = (std::clamp(position, -1.0, 1.0) + 1.0) / 2.0 * (palette.size() - 1);
  const auto from = std::min(static_cast<std::size_t>(place), palette.size() - 2);
  const auto mix = [&](int a, int b) { return static_cast<int>(std::lround(std::lerp(a, b, place - from))); };
  const Rgb &a = palette[from], &b = palette[from + 1];
  return {mix(a.red, b.red), mix(a.green, b.green), mix(a.blue, b.blue)};
}

double contrast(const Rgb& a, const Rgb& b) {
  const auto [dark, light] = std::minmax({luminance(a), luminance(b)});
  return (light + 0.05) / (dark + 0.05);
}

Rgb letters_on(const Rgb& ground) { return contrast(ground, kBlack) >= contrast(ground, kWhite) ? kBlack : kWhite; }

}  // namespace whence::drawing
