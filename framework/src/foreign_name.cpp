#include "foreign_name.h"

#include <nlohmann/json.hpp>

namespace whence {

std::string foreign_name(std::string_view name) {
  using nlohmann::json;
  constexpr std::size_t kLongest = 100;
  const std::string quoted = json(name.substr(0, kLongest)).dump(-1, ' ', true, json::error_handler_t::replace);
  return quoted.substr(1, quoted.size() - 2) + (name.size() > kLongest ? "..." : "");
}

}  // namespace whence
