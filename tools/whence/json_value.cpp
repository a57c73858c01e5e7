#include "json_value.h"

#include <limits>
#include <set>

namespace whence::cli {
namespace {

/// Where values are taken from; `root` is the place of the text.
struct Places {
  JsonPlaces kind;
  std::string root;

  std::string of_member(const std::string& place, const std::string& key) const {
    if (kind == JsonPlaces::whole) return place;
    return place == root ? key : place + "." + key;
  }
  std::string of_item(const std::string& place, std::size_t index) const {
    return kind == JsonPlaces::whole ? place : place + "[" + std::to_string(index) + "]";
  }
};

Value to_value(const nlohmann::ordered_json& json, const std::string& where, const Places& places) {
  const Mark place{where, 0, 0};
  switch (json.type()) {
    case nlohmann::json::value_t::boolean:
      return Value(json.get<bool>(), place);
    case nlohmann::json::value_t::number_unsigned:
      if (json.get<std::uint64_t>() > std::uint64_t{std::numeric_limits<std::int64_t>::max()})
        return Value(json.get<double>(), place);
      [[fallthrough]];
    case nlohmann::json::value_t::number_integer:
      return Value(json.get<std::int64_t>(), place);
    case nlohmann::json::value_t::number_float:
      return Value(json.get<double>(), place);
    case nlohmann::json::value_t::string:
      return Value(json.get<std::string>(), place);
    case nlohmann::json::value_t::array: {
      Value::List list;
      for (const auto& item : json) list.push_back(to_value(item, places.of_item(where, list.size()), places));
      return Value(std::move(list), place);
    }
    case nlohmann::json::value_t::object: {
      Value::Map map;
      for (const auto& [key, item] : json.items())
        map.emplace_back(key, to_value(item, places.of_member(where, key), places));
      return Value(std::move(map), place);
    }
    default:
      return Value({}, place);
  }
}

struct ToJson {
  nlohmann::ordered_json operator()(std::monostate) const { return nullptr; }
  nlohmann::ordered_json operator()(const Value::List& list) const {
    auto json = nlohmann::ordered_json::array();
    for (const Value& item : list) json.push_back(to_json(item));
    return json;
  }
  nlohmann::ordered_json operator()(const Value::Map& map) const {
    auto json = nlohmann::ordered_json::object();
    for (const auto& [key, item] : map) json[key] = to_json(item);
    return json;
  }
  template <class Scalar>
  nlohmann::ordered_json operator()(const Scalar& scalar) const {
    return scalar;
  }
};

}  // namespace

Value parse_json(const std::string& text, const std::string& place, JsonPlaces kind) {
  constexpr int kDeepest = 64;  // each level takes a part of the stack
  std::vector<std::set<std::string>> keys;
  const auto check = [&](int depth, nlohmann::json::parse_event_t event, const nlohmann::ordered_json& parsed) {
    using Event = nlohmann::json::parse_event_t;
    if (depth > kDeepest)
      throw ConfigError(place + ": lists and objects lie in each other more than " + std::to_string(kDeepest) +
                        " deep; expected fewer levels");
    if (event == Event::object_start) keys.emplace_back();
    if (event == Event::object_end) keys.pop_back();
    if (event == Event::key && !keys.back().insert(parsed.get<std::string>()).second)
      throw ConfigError(place + ": key '" + parsed.get<std::string>() + "' is given twice; keep one");
    return true;
  };
  try {
    return to_value(nlohmann::ordered_json::parse(text, check), place, {kind, place});
  } catch (const nlohmann::json::exception& error) {
    throw ConfigError(place + ": no valid JSON: " + error.what() + "; write for instance '{\"n_steps\": 20}'");
  }
}

nlohmann::ordered_json to_json(const Value& value) { return std::visit(ToJson{}, value.data()); }

}  // namespace whence::cli
