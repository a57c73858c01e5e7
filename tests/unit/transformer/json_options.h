#pragma once

#include <nlohmann/json.hpp>

#include "whence/value.h"

namespace whence::transformer {

/// JSON as a node of a configuration.
inline Value value_of(const nlohmann::json& node) {
  if (node.is_boolean()) return Value(node.get<bool>());
  if (node.is_number_integer()) return Value(node.get<std::int64_t>());
  if (node.is_number()) return Value(node.get<double>());
  if (node.is_string()) return Value(node.get<std::string>());
  if (node.is_array()) {
    Value::List list;
    for (const auto& item : node) list.push_back(value_of(item));
    return Value(std::move(list));
  }
  Value::Map map;
  for (const auto& [key, item] : node.items()) map.emplace_back(key, value_of(item));
  return Value(std::move(map));
}

}  // namespace whence::transformer
