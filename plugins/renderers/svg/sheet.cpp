#include "sheet.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "output_text.h"
#include "text.h"

namespace whence::svg {
namespace {

using namespace whence::drawing;
using kainjow::mustache::data;

// The file sheet.svg, embedded by CMakeLists.txt.
constexpr const char* kTemplate =
#include "sheet.svg.h"
    ;

std::string hex(const Rgb& color) {
  char text[8];
  std::snprintf(text, sizeof text, "#%02x%02x%02x", color.red, color.green, color.blue);
  return text;
}

std::string pixels(double length) { return number_text(std::round(length * 100) / 100, 2); }

}  // namespace

Sheet::Sheet(double font_size, bool dark)
    : font_size_(font_size),
      dark_(dark),
      ground_(dark ? Rgb{23, 24, 28} : kWhite),
      ink_(dark ? Rgb{232, 233, 236} : kBlack) {}

void Sheet::add_text(double x, double y, const std::string& text, const Style& style) {
  data line;
  line.set("x", pixels(margin() + x));
  line.set("y", pixels(margin() + y));
  line.set("fill", hex(style.color));
  line.set("anchor", style.anchor);
  line.set("bold", style.bold);
  line.set("upward", style.upward);
  line.set("text", text);
  lines_ << line;
}

void Sheet::add_box(double x, double y, double width, double height, const Rgb& color) {
  data box;
  box.set("x", pixels(margin() + x));
  box.set("y", pixels(margin() + y));
  box.set("width", pixels(width));
  box.set("height", pixels(height));
  box.set("fill", hex(color));
  boxes_ << box;
}

void Sheet::draw_lines(std::string_view text, Style style) {
  style.color = ink_;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    add_text(0, top + baseline(), std::string(text.substr(0, end)), style);
    top += line();
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

void Sheet::draw_scale(const std::string& low, const std::string& high) {
  const std::string before = "colours: " + low;
  const double left = (display_width(before) + 1) * letter();
  constexpr int kSwatches = 41;
  const double swatch = 0.5 * font_size_;
  for (int i = 0; i < kSwatches; ++i)
    add_box(left + i * swatch, top + 0.2 * line(), swatch, 0.6 * line(),
            heat_color(2.0 * i / (kSwatches - 1) - 1, palette()));
  const double right = left + kSwatches * swatch + letter();
  add_text(right, top + baseline(), high, {.color = ink_});
  width = std::max(width, right + display_width(high) * letter());
  draw_lines(before);
}

std::string Sheet::document(const std::string& title) const {
  data page;
  page.set("title", title);
  page.set("width", pixels(width + 2 * margin()));
  page.set("height", pixels(top + 2 * margin()));
  page.set("font_size", pixels(font_size_));
  page.set("ground", hex(ground_));
  page.set("boxes", boxes_);
  page.set("lines", lines_);
  return kainjow::mustache::mustache(kTemplate).render(page);
}

}  // namespace whence::svg
