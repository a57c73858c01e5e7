#include "whence/params.h"

#include <stdexcept>

#include "whence/span.h"

namespace whence {
namespace {

template <class T>
struct Read;
template <>
struct Read<bool> {
  static bool from(const Value& value) { return value.as_bool(); }
};
template <>
struct Read<std::int64_t> {
  static std::int64_t from(const Value& value) { return value.as_int(); }
};
template <>
struct Read<double> {
  static double from(const Value& value) { return value.as_double(); }
};
template <>
struct Read<std::string> {
  static std::string from(const Value& value) { return value.as_string(); }
};
template <>
struct Read<Value> {
  static const Value& from(const Value& value) { return value; }
};
template <>
struct Read<Span> {
  static Span from(const Value& value) {
    const auto& ends = value.as_list();
    if (ends.size() != 2)
      throw ConfigError(value.mark(), "expected [start, end], found a list of " + std::to_string(ends.size()));
    return {ends[0].as_int(), ends[1].as_int()};
  }
};
template <class T>
struct Read<std::vector<T>> {
  static std::vector<T> from(const Value& value) {
    std::vector<T> items;
    for (const Value& item : value.as_list()) items.push_back(Read<T>::from(item));
    return items;
  }
};

}  // namespace

Params::Params(std::map<std::string, Value, std::less<>> values) : values_(std::move(values)) {}
Params::~Params() = default;
Params::Params(const Params&) = default;
Params& Params::operator=(const Params&) = default;

template <class T>
T Params::get(std::string_view name) const {
  const auto found = values_.find(name);
  if (found == values_.end())
    throw std::logic_error("parameter '" + std::string(name) +
                           "' is not declared in plugin.yaml; add it under parameters");
  try {
    return Read<T>::from(found->second);
  } catch (const ConfigError& error) {
    throw std::logic_error("parameter '" + std::string(name) +
                           "' is read as another type than plugin.yaml declares: " + error.what());
  }
}

template WHENCE_API bool Params::get<bool>(std::string_view) const;
template WHENCE_API std::int64_t Params::get<std::int64_t>(std::string_view) const;
template WHENCE_API double Params::get<double>(std::string_view) const;
template WHENCE_API std::string Params::get<std::string>(std::string_view) const;
template WHENCE_API Span Params::get<Span>(std::string_view) const;
template WHENCE_API Value Params::get<Value>(std::string_view) const;
template WHENCE_API std::vector<std::int64_t> Params::get<std::vector<std::int64_t>>(std::string_view) const;
template WHENCE_API std::vector<double> Params::get<std::vector<double>>(std::string_view) const;
template WHENCE_API std::vector<std::string> Params::get<std::vector<std::string>>(std::string_view) const;
template WHENCE_API std::vector<Span> Params::get<std::vector<Span>>(std::string_view) const;

bool Params::has(std::string_view name) const {
  const auto found = values_.find(name);
  return found != values_.end() && !found->second.is_null();
}

}  // namespace whence
