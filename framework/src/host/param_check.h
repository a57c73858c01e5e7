#pragma once

#include <string>

#include "host/plugin_info.h"
#include "whence/params.h"

namespace whence::host {

/// A plugin and parameters as a user chose them; `where` is the place of the choice.
struct Choice {
  std::string name;
  Value params;  ///< a mapping or null
  Mark where;

  bool operator==(const Choice& other) const { return name == other.name && params == other.params; }
};

/// Checks what the user gave against the declaration (names, types, choices, ranges), adds what a preset fixes and
/// fills defaults. Throws UnknownName (kind "parameter of method 'x'") and ConfigError with the place of the offending
/// value.
Params check_params(const PluginInfo& plugin, const Choice& choice);

/// Every parameter that has a value, defaults included, as results record them.
Value::Map recorded_params(const PluginInfo& plugin, const Choice& choice);

/// Checks one value against one declaration and returns it in the declared type: where a float is declared an integer
/// becomes one. `owner` is how errors call the plugin, as in "method 'saliency'".
Value check_value(const ParamSpec& spec, const Value& value, const std::string& owner);

/// True for the types that plugin.yaml may name.
bool is_param_type(std::string_view type);

/// "method 'saliency'"
std::string plugin_title(PluginKind kind, std::string_view name);

}  // namespace whence::host
