#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "whence/renderer.h"

namespace whence::terminal {

struct HeatmapOptions {
  int decimals = 2;
  /// Draw only so many rows of a table, those with the largest magnitudes.
  std::optional<std::int64_t> max_rows;
  /// Token texts as vocabulary entries ("Ġhome") instead of as the text they stand for ("·home").
  bool raw_tokens = false;
  /// A sign for the magnitude beside every score, for canvases without colours.
  bool shades = false;
  /// Magnitude at the ends of the colour scale; absent: the largest of the output.
  std::optional<double> max_value;
};

/// Tables of all sequences, one under the other on one colour scale. Throws ConfigError when scores have granularity
/// dims.
std::string draw_heatmaps(const AttributionOutput& output, const Canvas& canvas, const HeatmapOptions& options);

}  // namespace whence::terminal
