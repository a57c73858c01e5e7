#pragma once

#include <string>

#include "heatmap.h"
#include "whence/context_attribution.h"

namespace whence::terminal {

/// Contexts and current texts of a context attribution, and under each selected token the output with it and its cues
/// in the contexts, marked as "[token](score)". `max_rows` bounds the units that are listed.
std::string draw_context(const ContextAttribution& result, const Canvas& canvas, const HeatmapOptions& options);

}  // namespace whence::terminal
