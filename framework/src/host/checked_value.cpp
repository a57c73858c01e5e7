#include "host/checked_value.h"

#include <algorithm>

#include "whence/error.h"

namespace whence::host {

std::int64_t integer_from(const Value& value, std::string_view key, std::int64_t least, std::int64_t most) {
  const std::int64_t number = value.as_int();
  if (number < least || number > most)
    throw ConfigError(value.mark(),
                      "'" + std::string(key) + "' is " + std::to_string(number) + "; expected " +
                          (number < least ? "at least " + std::to_string(least) : "at most " + std::to_string(most)));
  return number;
}

const std::string& name_from(const Value& value, std::string_view what, const std::vector<std::string>& known) {
  const std::string& name = value.as_string();
  if (std::find(known.begin(), known.end(), name) == known.end()) throw UnknownName(value.mark(), what, name, known);
  return name;
}

}  // namespace whence::host
