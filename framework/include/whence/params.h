#pragma once

#include <map>
#include <string>
#include <string_view>

#include "whence/value.h"

namespace whence {

/// What a plugin was configured with. Names, types, defaults and ranges are declared in its plugin.yaml alone; the host
/// has checked them and filled the defaults before a plugin sees this.
class WHENCE_API Params {
 public:
  Params() = default;
  explicit Params(std::map<std::string, Value, std::less<>> values);
  ~Params();
  Params(const Params&);
  Params& operator=(const Params&);

  /// T is bool, std::int64_t, double, std::string, Span, or a std::vector of one of these (vector<bool> excepted); or
  /// Value, which reads a parameter of any type as it was written, for the plugin to check.
  /// Throws std::logic_error, a mistake of the plugin, when plugin.yaml declares no such parameter or another type, or
  /// when it has no value (see `has`).
  template <class T>
  T get(std::string_view name) const;

  /// True when the parameter has a value, that is, when it was given or has a default other than null.
  bool has(std::string_view name) const;

  /// Everything, defaults included, as recorded in results.
  const std::map<std::string, Value, std::less<>>& values() const { return values_; }

 private:
  std::map<std::string, Value, std::less<>> values_;
};

}  // namespace whence
