#pragma once

#include <string>
#include <string_view>

namespace whence {

/// A name from a foreign file, fit for an error text: controls and letters outside ASCII as JSON escapes, cut when
/// long.
std::string foreign_name(std::string_view name);

}  // namespace whence
