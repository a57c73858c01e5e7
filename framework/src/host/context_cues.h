#pragma once

#include <vector>

#include "host/context_sensitivity.h"
#include "whence/context_attribution.h"

namespace whence::host {

/// Attributes the selected tokens (indices of `tokens`, by falling sensitivity) to the contexts, all of them in shared
/// batches (CCI of PECoRe, arXiv:2310.01188, section 3.2), and adds them to `result`, whose contexts are set. Where the
/// attributed function compares, each is compared with the token that would have come without context: by default in
/// the same text, and over the contextless text where the two tokens are the same, for kl_divergence, or where
/// contrast_force_inputs asks for it.
void add_cues(const PluginHost& host, const ContextTask& task, const ReadTexts& with, const ReadTexts& without,
              const std::vector<OutputToken>& tokens, const std::vector<std::int64_t>& selected,
              ContextAttribution& result);

}  // namespace whence::host
