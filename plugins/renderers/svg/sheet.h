#pragma once

#include <kainjow/mustache.hpp>
#include <string>
#include <string_view>

#include "palette.h"

namespace whence::svg {

/// How a text is placed.
struct Style {
  std::string anchor = "start";
  bool bold = false, upward = false;
  drawing::Rgb color{};
};

/// An SVG document that is filled from top to bottom. Sizes follow from the widths of texts in a fixed-width font;
/// lengths are pixels without margins.
class Sheet {
 public:
  Sheet(double font_size, bool dark);

  double letter() const { return 0.61 * font_size_; }  ///< width of a letter
  double line() const { return 1.6 * font_size_; }     ///< height of a line
  /// Of a text in a line, from the top of it.
  double baseline() const { return 0.5 * line() + 0.35 * font_size_; }
  double font_size() const { return font_size_; }
  const drawing::Rgb& ink() const { return ink_; }
  const drawing::Palette& palette() const { return dark_ ? drawing::kDarkPalette : drawing::kLightPalette; }

  /// Where the next thing is drawn, and how wide the document is.
  double top = 0, width = 0;

  void add_text(double x, double y, const std::string& text, const Style& style);
  void add_box(double x, double y, double width, double height, const drawing::Rgb& color);
  /// Lines of text at `top`, which moves below them.
  void draw_lines(std::string_view text, Style style = {});
  /// The bar that explains a colour scale from -`end` to `end`, whose texts they are. Makes room for itself.
  void draw_scale(const std::string& low, const std::string& high);

  std::string document(const std::string& title) const;

 private:
  double margin() const { return font_size_; }

  double font_size_;
  bool dark_;
  drawing::Rgb ground_, ink_;
  kainjow::mustache::data boxes_{kainjow::mustache::data::type::list}, lines_{kainjow::mustache::data::type::list};
};

}  // namespace whence::svg
