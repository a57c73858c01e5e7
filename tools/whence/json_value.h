#pragma once

#include <nlohmann/json.hpp>

#include "whence/value.h"

namespace whence::cli {

/// JSON text given as an option; `place` names the option in errors. Throws ConfigError.
Value parse_json(const std::string& text, const std::string& place);
nlohmann::ordered_json to_json(const Value& value);

}  // namespace whence::cli
