#pragma once

#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "foreign_name.h"
#include "json_text.h"
#include "whence/error.h"

namespace whence {

/// A part of a document, with the place to name in errors; what it returns refers to the document. Everything that asks
/// for a type throws InputError when the part has another.
class JsonNode {
 public:
  explicit JsonNode(const JsonDocument& document) : JsonNode(document.value, document, "") {}

  const nlohmann::json& value() const { return *value_; }
  std::string place() const { return path_.empty() ? document_->place : document_->place + ": " + path_; }

  [[noreturn]] void fail(const std::string& text) const { throw InputError(place() + ": " + text); }
  [[noreturn]] void fail_type(const std::string& expected) const {
    fail("expected " + expected + ", found " + value_->type_name());
  }

  /// Member of an object; empty when absent or null.
  std::optional<JsonNode> find(const std::string& key) const {
    if (!value_->is_object()) fail_type("an object");
    const auto found = value_->find(key);
    if (found == value_->end() || found->is_null()) return std::nullopt;
    return JsonNode(*found, *document_, path_ + (path_.empty() ? "" : ".") + foreign_name(key));
  }
  JsonNode at(const std::string& key) const {
    if (auto member = find(key)) return *member;
    fail("'" + key + "' is missing");
  }
  std::vector<JsonNode> list() const {
    if (!value_->is_array()) fail_type("a list");
    std::vector<JsonNode> nodes;
    nodes.reserve(value_->size());
    for (std::size_t i = 0; i < value_->size(); ++i)
      nodes.push_back(JsonNode((*value_)[i], *document_, path_ + "[" + std::to_string(i) + "]"));
    return nodes;
  }
  const std::string& text() const {
    if (!value_->is_string()) fail_type("text");
    return value_->get_ref<const std::string&>();
  }
  std::int64_t integer() const {
    if (!value_->is_number_integer() ||
        (value_->is_number_unsigned() && value_->get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max()))
      fail_type("an integer");
    return value_->get<std::int64_t>();
  }
  double number() const {
    if (const auto number = number_of(*value_, *document_)) return *number;
    fail_type("a number");
  }
  /// An object, whatever it holds.
  Value::Map map() const {
    if (!value_->is_object()) fail_type("an object");
    return value_of(*value_, *document_, place()).as_map();
  }

 private:
  JsonNode(const nlohmann::json& value, const JsonDocument& document, std::string path)
      : value_(&value), document_(&document), path_(std::move(path)) {}

  const nlohmann::json* value_;
  const JsonDocument* document_;
  std::string path_;
};

}  // namespace whence
