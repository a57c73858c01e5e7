#include "host/param_check.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <map>

#include "host/yaml.h"

namespace whence::host {
namespace {

constexpr std::array<std::string_view, 10> kTypes = {"bool",      "int",         "float",        "string",     "span",
                                                     "list[int]", "list[float]", "list[string]", "list[span]", "any"};

/// The type of the items of a list type, or empty for any other type.
std::string_view item_type(std::string_view type) {
  constexpr std::string_view kStart = "list[";
  return type.starts_with(kStart) ? type.substr(kStart.size(), type.size() - kStart.size() - 1) : std::string_view();
}

/// A value on one line, for error texts.
std::string one_line(const Value& value) {
  if (value.is_map() || value.is_list()) return "a " + std::string(value.type_name());
  if (value.is_null()) return "null";
  if (value.is_string()) return "text '" + value.as_string() + "'";
  std::string text = to_yaml(value);
  text.pop_back();
  return std::string(value.type_name()) + " " + text;
}

class Checker {
 public:
  Checker(const ParamSpec& spec, const std::string& owner) : spec_(spec), owner_(owner) {}

  Value check(const Value& value) const {
    if (value.is_null() && spec_.default_value.is_null() && !spec_.required) return value;
    const std::string_view items = item_type(spec_.type);
    if (items.empty()) return check_one(value, spec_.type);
    if (!value.is_list()) fail(value, "expected a list, found " + one_line(value) + "; write [...] around it");
    Value::List checked;
    for (const Value& item : value.as_list()) checked.push_back(check_one(item, items));
    return {std::move(checked), value.mark()};
  }

 private:
  [[noreturn]] void fail(const Value& value, const std::string& text) const {
    throw ConfigError(value.mark(), "parameter '" + spec_.name + "' of " + owner_ + ": " + text);
  }

  void expect(bool fits, const Value& value, std::string_view expected) const {
    if (!fits) fail(value, "expected " + std::string(expected) + ", found " + one_line(value));
  }

  Value check_one(const Value& value, std::string_view type) const {
    if (type == "bool") expect(value.is_bool(), value, "true or false");
    if (type == "int") expect(value.is_int(), value, "an integer");
    if (type == "float") expect(value.is_number(), value, "a number");
    if (type == "string") expect(value.is_string(), value, "text");
    if (type == "span") expect(is_span(value), value, "a span [start, end] with start <= end");
    const Value typed = type == "float" ? Value(value.as_double(), value.mark()) : value;
    check_range(typed);
    check_choice(typed);
    return typed;
  }

  static bool is_span(const Value& value) {
    if (!value.is_list() || value.as_list().size() != 2) return false;
    const auto& ends = value.as_list();
    return ends[0].is_int() && ends[1].is_int() && ends[0].as_int() <= ends[1].as_int();
  }

  void check_range(const Value& value) const {
    if (!value.is_number()) return;
    const double number = value.as_double();
    // Written so that NaN is outside every range.
    if (spec_.minimum && !(number >= *spec_.minimum))
      fail(value, "expected at least " + number_text(*spec_.minimum) + ", found " + number_text(number));
    if (spec_.maximum && !(number <= *spec_.maximum))
      fail(value, "expected at most " + number_text(*spec_.maximum) + ", found " + number_text(number));
  }

  std::string number_text(double number) const {
    const bool whole = spec_.type.find("int") != std::string::npos;
    return scalar_text(whole ? Value(static_cast<std::int64_t>(number)) : Value(number));
  }

  static std::string scalar_text(const Value& value) {
    if (value.is_string()) return value.as_string();
    std::string text = to_yaml(value);
    text.pop_back();
    return text;
  }

  void check_choice(const Value& value) const {
    if (spec_.choices.empty()) return;
    if (std::find(spec_.choices.begin(), spec_.choices.end(), value) != spec_.choices.end()) return;
    std::vector<std::string> known;
    std::transform(spec_.choices.begin(), spec_.choices.end(), std::back_inserter(known), scalar_text);
    throw UnknownName(value.mark(), "value of parameter '" + spec_.name + "' of " + owner_, scalar_text(value), known);
  }

  const ParamSpec& spec_;
  const std::string& owner_;
};

/// What parameters of the reference toolkit would choose that is not for a plugin to choose here.
std::string_view advice_for(std::string_view name) {
  if (name == "internal_batch_size" || name == "perturbations_per_eval")
    return "passes are as large as the memory budget allows and results don't depend on it; leave it out, or set "
           "'memory' (--memory)";
  return {};
}

using Values = std::map<std::string, Value, std::less<>>;

void add_given(const PluginInfo& plugin, const Choice& choice, Values& values) {
  if (choice.params.is_null()) return;
  const std::string owner = plugin_title(plugin.kind, plugin.name);
  if (!choice.params.is_map())
    throw ConfigError(choice.params.mark(),
                      "parameters of " + owner + ": expected a mapping, found " + one_line(choice.params));
  std::vector<std::string> known;
  for (const ParamSpec& spec : plugin.parameters) known.push_back(spec.name);
  for (const auto& [name, value] : choice.params.as_map()) {
    const auto spec = std::find(known.begin(), known.end(), name);
    if (spec == known.end()) {
      if (const std::string_view advice = advice_for(name); !advice.empty())
        throw ConfigError(value.key_mark(), "parameter '" + name + "' of " + owner + ": " + std::string(advice));
      throw UnknownName(value.key_mark(), "parameter of " + owner, name, known);
    }
    if (values.contains(name))
      throw ConfigError(value.key_mark(), "parameter '" + name + "' is fixed by preset '" + choice.name + "'; use " +
                                              owner + " to choose it");
    values.emplace(name, check_value(plugin.parameters[static_cast<std::size_t>(spec - known.begin())], value, owner));
  }
}

}  // namespace

Value check_value(const ParamSpec& spec, const Value& value, const std::string& owner) {
  return Checker(spec, owner).check(value);
}

bool is_param_type(std::string_view type) { return std::find(kTypes.begin(), kTypes.end(), type) != kTypes.end(); }

std::string plugin_title(PluginKind kind, std::string_view name) {
  return std::string(kind_name(kind)) + " '" + std::string(name) + "'";
}

Params check_params(const PluginInfo& plugin, const Choice& choice) {
  const std::string owner = plugin_title(plugin.kind, plugin.name);
  Values values;
  for (const auto& [name, preset] : plugin.presets)
    if (name == choice.name && name != plugin.name)
      for (const auto& [key, value] : preset.as_map()) values.emplace(key, value);
  add_given(plugin, choice, values);
  for (const ParamSpec& spec : plugin.parameters) {
    if (values.contains(spec.name)) continue;
    if (spec.required)
      throw ConfigError(choice.where, owner + " needs parameter '" + spec.name + "' (" + spec.type + "); " + spec.help);
    values.emplace(spec.name, spec.default_value);
  }
  return Params(std::move(values));
}

Value::Map recorded_params(const PluginInfo& plugin, const Choice& choice) {
  Value::Map map;
  const Params params = check_params(plugin, choice);
  for (const auto& [name, value] : params.values())
    if (!value.is_null()) map.emplace_back(name, value);
  return map;
}

}  // namespace whence::host
