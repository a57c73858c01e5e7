#pragma once

#include <string>

#include "page_data.h"
#include "whence/context_attribution.h"

namespace whence::html {

/// What the scripts of a page about a context attribution read, as `page_data` writes it. Throws ConfigError for scores
/// of too many bytes.
std::string context_data(const ContextAttribution& result, const PageOptions& options);

}  // namespace whence::html
