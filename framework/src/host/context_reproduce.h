#pragma once

#include <string>
#include <vector>

#include "host/reproduce.h"
#include "whence/context_attribution.h"

namespace whence::host {

/// Texts, tokens, sensitivities and cue scores of two context attributions, in the order of the stored one. A token
/// that one of them alone selects disagrees.
std::vector<TensorDeviation> compare_contexts(const std::string& id, const ContextAttribution& stored,
                                              const ContextAttribution& made, const ReproduceOptions& options);

}  // namespace whence::host
