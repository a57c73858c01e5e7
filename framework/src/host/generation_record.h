#pragma once

#include "whence/attribution_output.h"
#include "whence/model.h"

namespace whence::host {

/// Puts the options that its texts were generated with into what is known of a result.
void record_generation(const GenerationConfig& asked, const ModelInfo& model, AttributionOutput& output);

}  // namespace whence::host
