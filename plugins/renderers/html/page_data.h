#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "output_text.h"
#include "whence/attribution_output.h"

namespace whence::html {

struct PageOptions {
  drawing::TokenForm tokens = drawing::TokenForm::clean;
  /// Magnitude at the ends of the colour scale; absent: the largest of the output.
  std::optional<double> max_value;
  /// Most bytes of encoded scores.
  std::int64_t max_bytes = 0;
};

/// What the scripts of the page read, as JSON that may stand in a script element: ASCII without "<". Scores are base64
/// texts of little-endian floats. Throws ConfigError for scores of unnamed dims or of too many bytes.
std::string page_data(const AttributionOutput& output, const PageOptions& options);

}  // namespace whence::html
