#pragma once

#include <string>

#include "heatmap.h"
#include "whence/context_attribution.h"

namespace whence::svg {

/// An SVG document with the output and, under each selected token, the contexts coloured by their scores for it; cues
/// are bold. `columns` letters stand in a line; `max_rows` bounds the units that are listed.
std::string draw_context(const ContextAttribution& result, const DrawingOptions& options, int columns);

}  // namespace whence::svg
