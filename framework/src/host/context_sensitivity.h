#pragma once

#include <string>
#include <vector>

#include "host/context_output.h"
#include "host/context_text.h"

namespace whence::host {

/// A token of the current output.
struct OutputToken {
  std::int64_t with = 0, without = 0;  ///< its position in the target with context, and without
  std::string text;                    ///< "contextual → contextless" where the two differ
  float sensitivity = 0;
};

/// How sensitive each token of the output is to context, from one pass over either text (CTI of PECoRe,
/// arXiv:2310.01188, section 3.1). A function that compares texts goes through the tokens without context, compared
/// with those that they are aligned with; another one through the tokens with context. Throws PluginError for a score
/// that is not finite.
std::vector<OutputToken> output_sensitivities(const PluginHost& host, const ContextTask& task, const ReadTexts& with,
                                              const ReadTexts& without);

}  // namespace whence::host
