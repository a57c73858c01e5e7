#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "whence/error.h"
#include "whence/export.h"

namespace whence {

/// One node of a configuration file: nothing, a scalar, a list or a mapping, with the place it was written at.
/// The host makes these from YAML; plugins and the engine only read them.
class WHENCE_API Value {
 public:
  using List = std::vector<Value>;
  using Map = std::vector<std::pair<std::string, Value>>;  ///< in the order of the file; keys are unique

  Value() = default;
  Value(std::variant<std::monostate, bool, std::int64_t, double, std::string, List, Map> data, Mark mark = {});
  ~Value();
  Value(const Value&);
  Value(Value&&) noexcept;
  Value& operator=(const Value&);
  Value& operator=(Value&&) noexcept;

  bool is_null() const { return std::holds_alternative<std::monostate>(data_); }
  bool is_map() const { return std::holds_alternative<Map>(data_); }
  bool is_list() const { return std::holds_alternative<List>(data_); }
  bool is_string() const { return std::holds_alternative<std::string>(data_); }
  bool is_bool() const { return std::holds_alternative<bool>(data_); }
  bool is_int() const { return std::holds_alternative<std::int64_t>(data_); }
  bool is_number() const { return is_int() || std::holds_alternative<double>(data_); }

  // Each throws ConfigError at `mark()` saying what was expected and found. `as_double` accepts integers.
  bool as_bool() const;
  std::int64_t as_int() const;
  double as_double() const;
  const std::string& as_string() const;
  const List& as_list() const;
  const Map& as_map() const;

  /// Member of a mapping, or null when absent (or when this is null). Throws ConfigError when this is no mapping.
  const Value* find(std::string_view key) const;
  /// As `find`, but absence is a ConfigError.
  const Value& at(std::string_view key) const;
  /// Throws UnknownName (kind "key") at the first member that is not in `known`.
  void require_known_keys(const std::vector<std::string>& known) const;

  /// "null", "boolean", "integer", "number", "text", "list" or "mapping".
  std::string_view type_name() const;
  const Mark& mark() const { return mark_; }
  /// Where the key of this member of a mapping was written; `mark()` for everything else.
  Mark key_mark() const;
  void set_key_place(int line, int column);
  const auto& data() const { return data_; }
  bool operator==(const Value& other) const { return data_ == other.data_; }

 private:
  std::variant<std::monostate, bool, std::int64_t, double, std::string, List, Map> data_;
  Mark mark_;
  int key_line_ = 0, key_column_ = 0;
};

}  // namespace whence
