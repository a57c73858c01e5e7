#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "whence/span.h"

namespace whence {

/// Place of the first byte that no valid UTF-8 has there; empty for valid text.
std::optional<std::size_t> first_invalid_byte(std::string_view text);

/// [characters + 1] Where every character of a valid text starts, and its end.
std::vector<std::size_t> character_starts(std::string_view text);

/// Without white space (as Unicode has it) at the ends that are asked for.
std::string_view stripped(std::string_view text, bool left, bool right);

}  // namespace whence
