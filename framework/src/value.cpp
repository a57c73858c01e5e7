#include "whence/value.h"

#include <algorithm>

namespace whence {

Value::Value(std::variant<std::monostate, bool, std::int64_t, double, std::string, List, Map> data, Mark mark)
    : data_(std::move(data)), mark_(std::move(mark)) {}
Value::~Value() = default;
Value::Value(const Value&) = default;
Value::Value(Value&&) noexcept = default;
Value& Value::operator=(const Value&) = default;
Value& Value::operator=(Value&&) noexcept = default;

namespace {

template <class T>
const T& expect(const Value& value, std::string_view expected) {
  if (const auto* held = std::get_if<T>(&value.data())) return *held;
  std::string found(value.type_name());
  if (value.is_string()) found += " '" + std::get<std::string>(value.data()) + "'";
  throw ConfigError(value.mark(), "expected " + std::string(expected) + ", found " + found);
}

}  // namespace

bool Value::as_bool() const { return expect<bool>(*this, "true or false"); }
std::int64_t Value::as_int() const { return expect<std::int64_t>(*this, "an integer"); }
double Value::as_double() const {
  if (is_int()) return static_cast<double>(std::get<std::int64_t>(data_));
  return expect<double>(*this, "a number");
}
const std::string& Value::as_string() const { return expect<std::string>(*this, "text"); }
const Value::List& Value::as_list() const { return expect<List>(*this, "a list"); }
const Value::Map& Value::as_map() const { return expect<Map>(*this, "a mapping"); }

const Value* Value::find(std::string_view key) const {
  if (is_null()) return nullptr;
  for (const auto& [name, value] : as_map())
    if (name == key) return &value;
  return nullptr;
}

const Value& Value::at(std::string_view key) const {
  if (const Value* value = find(key)) return *value;
  throw ConfigError(mark_, "'" + std::string(key) + "' is missing");
}

void Value::require_known_keys(const std::vector<std::string>& known) const {
  for (const auto& [name, value] : as_map())
    if (std::find(known.begin(), known.end(), name) == known.end())
      throw UnknownName(value.key_mark(), "key", name, known);
}

Mark Value::key_mark() const { return key_line_ ? Mark{mark_.file, key_line_, key_column_} : mark_; }

void Value::set_key_place(int line, int column) {
  key_line_ = line;
  key_column_ = column;
}

std::string_view Value::type_name() const {
  static constexpr std::string_view kNames[] = {"null", "boolean", "integer", "number", "text", "list", "mapping"};
  return kNames[data_.index()];
}

}  // namespace whence
