#pragma once

#include <nlohmann/json.hpp>

#include "whence/value.h"

namespace whence {

/// JSON as a node of a configuration.
inline Value to_value(const nlohmann::json& node) {
  if (node.is_null()) return {};
  if (node.is_boolean()) return Value(node.get<bool>());
  if (node.is_number_integer()) return Value(node.get<std::int64_t>());
  if (node.is_number()) return Value(node.get<double>());
  if (node.is_string()) return Value(node.get<std::string>());
  if (node.is_array()) {
    Value::List list;
    for (const auto& item : node) list.push_back(to_value(item));
    return Value(std::move(list));
  }
  Value::Map map;
  for (const auto& [key, item] : node.items()) map.emplace_back(key, to_value(item));
  return Value(std::move(map));
}

}  // namespace whence
