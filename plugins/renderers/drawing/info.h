#pragma once

#include <string>
#include <string_view>

#include "whence/value.h"

namespace whence::drawing {

/// The entry of a result's `info`, or null.
const Value* find_info(const Value::Map& info, std::string_view key);

/// As printable text (text.h); empty unless it is a text.
std::string info_text(const Value::Map& info, std::string_view key);

}  // namespace whence::drawing
