#pragma once

#include <nlohmann/json.hpp>

#include "whence/value.h"

namespace whence::cli {

/// What the values of a JSON text have as their place.
enum class JsonPlaces {
  whole,  ///< that of the text
  paths,  ///< their path in it, e.g. "generation.stop_strings[1]"; the text itself that of the text
};

/// JSON text given as an option; `place` names the option in errors. Throws ConfigError.
Value parse_json(const std::string& text, const std::string& place, JsonPlaces places = JsonPlaces::whole);
nlohmann::ordered_json to_json(const Value& value);

}  // namespace whence::cli
