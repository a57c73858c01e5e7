#pragma once

#include <optional>
#include <string>

#include "palette.h"
#include "tables.h"

namespace whence::svg {

struct DrawingOptions {
  drawing::TableOptions tables;
  double font_size = 11;  ///< pixels
  bool numbers = true;    ///< in the cells
  bool dark = false;      ///< the ground
  /// Magnitude at the ends of the colour scale; absent: the largest of the output.
  std::optional<double> max_value;
};

/// An SVG document with the tables of all sequences, one under the other on one colour scale. Sizes follow from the
/// widths of texts in a fixed-width font. Throws ConfigError as `drawing::make_tables`.
std::string draw_heatmaps(const AttributionOutput& output, const DrawingOptions& options);

}  // namespace whence::svg
