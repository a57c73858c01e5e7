#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "whence/value.h"

/// JSON as result files have it: as Python writes it, with three numbers that JSON lacks.
namespace whence {

/// A document with what was read in place of those numbers.
struct JsonDocument {
  nlohmann::json value;
  std::string marker;  ///< they are texts that begin with it
  std::string place;   ///< names the document in errors
};

/// Reads plain or gzipped bytes. Throws InputError that names place and line.
JsonDocument read_json(std::string_view bytes, const std::string& place);

/// A part of a document as a value; `place` names it in errors. Numbers beyond 64 bits become floating point.
Value value_of(const nlohmann::json& part, const JsonDocument& document, const std::string& place);
/// A number of a document, those that JSON lacks included; empty for anything else.
std::optional<double> number_of(const nlohmann::json& part, const JsonDocument& document);

/// Indented text of ASCII letters with a line break at its end. Members come in the order that the object has.
std::string json_text(const nlohmann::json& value);
std::string json_text(const nlohmann::ordered_json& value);
/// One scalar of it.
std::string json_scalar(const nlohmann::json& value);

/// A value as a part of a document.
template <class Json>
Json json_of(const Value& value);

/// What `json_of` makes of everything that a value can be.
template <class Json>
struct JsonOf {
  Json operator()(std::monostate) const { return nullptr; }
  Json operator()(const Value::List& list) const {
    Json array = Json::array();
    for (const Value& member : list) array.push_back(json_of<Json>(member));
    return array;
  }
  Json operator()(const Value::Map& map) const {
    Json object = Json::object();
    for (const auto& [key, member] : map) object[key] = json_of<Json>(member);
    return object;
  }
  Json operator()(const auto& scalar) const { return scalar; }
};

template <class Json>
Json json_of(const Value& value) {
  return std::visit(JsonOf<Json>{}, value.data());
}

}  // namespace whence
