#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "whence/value.h"

namespace whence::host {

enum class PluginKind { model, method, step_function, aggregator, renderer, metric };

/// All of them, in the order of the type.
std::span<const PluginKind> plugin_kinds();
/// "model", "method", "step_function", "aggregator", "renderer", "metric".
std::string_view kind_name(PluginKind kind);
/// Throws UnknownName.
PluginKind kind_from_name(std::string_view name, const Mark& where = {});

/// One declared parameter of a plugin (an entry of `parameters` in plugin.yaml).
struct ParamSpec {
  std::string name;
  std::string type;     ///< bool, int, float, string, span, list of one of these written "list[int]", or any
  Value default_value;  ///< null: not given unless the user does
  bool required = false;
  std::vector<Value> choices;
  std::optional<double> minimum, maximum;  ///< inclusive
  std::string help;
};

/// Rows that a method sends through the model for one text of a decoder-only model, as formulas of `rows` (tokens
/// before the last explained one), `steps` (explained tokens), `layers`, the method's parameters and what `where`
/// defines. For texts without tokens that the baseline keeps; where no step stops early, and hidden units are not
/// summed.
struct CostFormulas {
  std::vector<std::pair<std::string, std::string>> where;  ///< name and formula, in order
  std::string forward_rows, backward_rows;
};

/// One plugin as its manifest describes it; made without opening the library.
struct PluginInfo {
  PluginKind kind = PluginKind::method;
  std::string name;
  std::string summary, paper, cost, version;
  std::optional<CostFormulas> cost_formulas;
  std::vector<ParamSpec> parameters;
  /// Other names of the plugin with parameters fixed: preset name -> mapping of parameters.
  Value::Map presets;
  /// The whole plugin.yaml, for keys that only some kinds have (`differentiable`, `merge`, `default_aggregation`...).
  Value declaration;
  std::filesystem::path manifest, library;
  int abi = 0;
  std::string build_id, sha256;
  std::uintmax_t size = 0;
  /// Why it cannot be used, as one line; empty when nothing is known against it.
  std::string problem;
  /// The manifest that is used instead, for a name found before; empty otherwise.
  std::filesystem::path shadowed_by;
};

}  // namespace whence::host
