#include "info.h"

#include <algorithm>

#include "text.h"

namespace whence::drawing {

const Value* find_info(const Value::Map& info, std::string_view key) {
  const auto found = std::ranges::find(info, key, &Value::Map::value_type::first);
  return found == info.end() ? nullptr : &found->second;
}

std::string info_text(const Value::Map& info, std::string_view key) {
  const Value* value = find_info(info, key);
  return value && value->is_string() ? printable(value->as_string()) : std::string();
}

}  // namespace whence::drawing
