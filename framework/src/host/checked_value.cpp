#include "host/checked_value.h"

#include <algorithm>
#include <cctype>

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

const std::string& file_name_from(const Value& value, std::string_view key) {
  const std::string& name = value.as_string();
  const bool plain = std::all_of(name.begin(), name.end(),
                                 [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_' || c == '.'; });
  constexpr std::size_t kMostLetters = 64;
  if (name.size() > kMostLetters)
    throw ConfigError(value.mark(), "'" + std::string(key) + "' has " + std::to_string(name.size()) +
                                        " letters; it names files, so expected at most " +
                                        std::to_string(kMostLetters));
  if (name.empty() || name.front() == '.' || !plain)
    throw ConfigError(value.mark(),
                      "'" + std::string(key) + "' is '" + name +
                          "'; it names files, so expected letters, digits, '-', '_' and '.', and no '.' at the start");
  return name;
}

std::vector<Value> one_or_many(const Value& value) {
  return value.is_list() ? value.as_list() : std::vector<Value>{value};
}

}  // namespace whence::host
