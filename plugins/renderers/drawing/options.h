#pragma once

#include <optional>
#include <string>

#include "tables.h"
#include "whence/params.h"

namespace whence::drawing {

/// From the parameters `decimals`, `max_rows` and `tokens` of a renderer.
TableOptions table_options(const Params& params);

/// The parameter `max_value`, the magnitude at the ends of the colour scale. Throws ConfigError with the name of the
/// renderer unless it is above 0.
std::optional<double> max_value(const Params& params, const std::string& renderer);

}  // namespace whence::drawing
