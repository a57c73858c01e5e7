#pragma once

#include <optional>
#include <string>

#include "tables.h"
#include "whence/renderer.h"

namespace whence::terminal {

struct HeatmapOptions {
  drawing::TableOptions tables;
  /// A sign for the magnitude beside every score, for canvases without colours.
  bool shades = false;
  /// Magnitude at the ends of the colour scale; absent: the largest of the output.
  std::optional<double> max_value;
};

/// Tables of all sequences, one under the other on one colour scale. Throws ConfigError when scores have granularity
/// dims.
std::string draw_heatmaps(const AttributionOutput& output, const Canvas& canvas, const HeatmapOptions& options);

}  // namespace whence::terminal
