#pragma once

#include <nlohmann/json.hpp>

namespace whence::serve {

/// On one line. Bytes that are no UTF-8, such as parts of file names in errors, come out as U+FFFD.
inline std::string json_text(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace whence::serve
