#include "host/manifest.h"

#include <algorithm>
#include <limits>

#include "host/param_check.h"
#include "host/yaml.h"
#include "whence/plugin.h"
#include "whence/reduce.h"

namespace whence::host {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kManifestFormat = 1;

/// Names are typed on command lines, and are parts of file names and of C++ targets.
const std::string& checked_name(const std::string& name, const Mark& where) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz", kAll = "abcdefghijklmnopqrstuvwxyz0123456789_";
  if (name.empty() || name.size() > 64 || kLetters.find(name[0]) == std::string_view::npos ||
      name.find_first_not_of(kAll) != std::string::npos)
    throw ConfigError(where, "'" + name.substr(0, 64) + "' is no name; use a-z, 0-9 and _, a letter first, at most 64");
  return name;
}

std::string optional_text(const Value& mapping, std::string_view key) {
  const Value* text = mapping.find(key);
  return text ? text->as_string() : std::string();
}

bool optional_bool(const Value& mapping, std::string_view key) {
  const Value* value = mapping.find(key);
  return value && value->as_bool();
}

std::optional<double> optional_number(const Value& mapping, std::string_view key) {
  const Value* value = mapping.find(key);
  return value ? std::optional(value->as_double()) : std::nullopt;
}

ParamSpec read_param(const std::string& name, const Value& declaration, const std::string& owner) {
  declaration.require_known_keys({"type", "default", "required", "choices", "min", "max", "help"});
  ParamSpec spec;
  spec.name = checked_name(name, declaration.key_mark());
  spec.type = declaration.at("type").as_string();
  if (!is_param_type(spec.type))
    throw ConfigError(declaration.at("type").mark(), "parameter '" + name + "' of " + owner + ": unknown type '" +
                                                         spec.type +
                                                         "'; use bool, int, float, string, span, list[int], "
                                                         "list[float], list[string], list[span] or any");
  spec.required = optional_bool(declaration, "required");
  spec.minimum = optional_number(declaration, "min");
  spec.maximum = optional_number(declaration, "max");
  spec.help = declaration.at("help").as_string();
  const Value* default_value = declaration.find("default");
  if (spec.required && default_value)
    throw ConfigError(default_value->mark(),
                      "parameter '" + name + "' of " + owner + " is required and has a default; remove one of the two");
  if (!spec.required && !default_value)
    throw ConfigError(declaration.key_mark(), "parameter '" + name + "' of " + owner +
                                                  " has no default; give one (null: none), or write required: true");
  if (const Value* choices = declaration.find("choices"))
    for (const Value& choice : choices->as_list())
      spec.choices.push_back(spec.type.find("float") != std::string::npos ? Value(choice.as_double()) : choice);
  if (default_value) spec.default_value = check_value(spec, *default_value, owner);
  return spec;
}

void read_presets(const Value& presets, PluginInfo& plugin) {
  const std::string owner = plugin_title(plugin.kind, plugin.name);
  for (const auto& [name, preset] : presets.as_map()) {
    checked_name(name, preset.key_mark());
    preset.require_known_keys({"summary", "params"});
    const Choice choice{plugin.name, preset.at("params"), preset.mark()};
    // Presets may leave out required parameters, so only what they give is checked.
    PluginInfo optional = plugin;
    for (ParamSpec& spec : optional.parameters) spec.required = false;
    const Params checked = check_params(optional, choice);
    Value::Map fixed;
    for (const auto& [key, value] : choice.params.as_map()) fixed.emplace_back(key, checked.values().at(key));
    plugin.presets.emplace_back(name, Value(std::move(fixed), preset.mark()));
  }
}

/// A line for readers, and for methods what the work is in rows: formulas that tests hold it to.
void read_cost(const Value& cost, PluginInfo& plugin) {
  if (plugin.kind != PluginKind::method || !cost.is_map()) {
    plugin.cost = cost.as_string();
    return;
  }
  cost.require_known_keys({"summary", "where", "forward_rows", "backward_rows"});
  plugin.cost = cost.at("summary").as_string();
  const auto formula = [](const Value& value) {
    return value.is_int() ? std::to_string(value.as_int()) : value.as_string();
  };
  plugin.cost_formulas.emplace();
  if (const Value* where = cost.find("where"))
    for (const auto& [name, value] : where->as_map())
      plugin.cost_formulas->where.emplace_back(checked_name(name, value.key_mark()), formula(value));
  plugin.cost_formulas->forward_rows = formula(cost.at("forward_rows"));
  plugin.cost_formulas->backward_rows = formula(cost.at("backward_rows"));
}

std::vector<std::string> known_keys(PluginKind kind) {
  std::vector<std::string> keys = {"kind", "name", "summary", "paper", "cost", "parameters", "presets"};
  if (kind == PluginKind::method) keys.insert(keys.end(), {"needs", "uses_attributed_function", "explains_spans"});
  if (kind == PluginKind::step_function) keys.insert(keys.end(), {"differentiable", "merge"});
  if (kind == PluginKind::renderer) keys.push_back("file_suffix");
  if (kind == PluginKind::metric) keys.push_back("removes");
  return keys;
}

/// Keys that only one kind has stay in `declaration`; their values are checked here so that readers may trust them.
void check_own_keys(const Value& declaration) {
  if (const Value* needs = declaration.find("needs")) {
    const std::vector<std::string> known = {"gradients", "scores", "attentions"};
    for (const Value& need : needs->as_list())
      if (std::find(known.begin(), known.end(), need.as_string()) == known.end())
        throw UnknownName(need.mark(), "need of a method", need.as_string(), known);
  }
  if (const Value* merge = declaration.find("merge")) {
    const auto& known = reduction_names();
    if (std::find(known.begin(), known.end(), merge->as_string()) == known.end())
      throw UnknownName(merge->mark(), "reduction", merge->as_string(), known);
  }
  for (const char* key : {"uses_attributed_function", "explains_spans", "differentiable", "removes"})
    optional_bool(declaration, key);
  optional_text(declaration, "file_suffix");
}

/// plugin.yaml, as the manifest repeats it.
void read_declaration(const Value& declaration, PluginInfo& plugin) {
  declaration.require_known_keys(known_keys(plugin.kind));
  plugin.declaration = declaration;
  plugin.summary = declaration.at("summary").as_string();
  plugin.paper = optional_text(declaration, "paper");
  if (const Value* cost = declaration.find("cost")) read_cost(*cost, plugin);
  const std::string owner = plugin_title(plugin.kind, plugin.name);
  if (const Value* parameters = declaration.find("parameters"); parameters && !parameters->is_null())
    for (const auto& [name, parameter] : parameters->as_map())
      plugin.parameters.push_back(read_param(name, parameter, owner));
  check_own_keys(declaration);
  if (const Value* presets = declaration.find("presets"); presets && !presets->is_null())
    read_presets(*presets, plugin);
}

/// The library must lie beside its manifest, so that a manifest cannot make the host open something from elsewhere.
fs::path library_beside(const fs::path& manifest, const Value& name) {
  const std::string& file = name.as_string();
  if (file.find('/') != std::string::npos || !file.ends_with(kLibrarySuffix) || file == kLibrarySuffix)
    throw ConfigError(name.mark(), "library '" + file + "' is no name of a " + std::string(kLibrarySuffix) +
                                       " file in the folder of the manifest; build the plugin again");
  return manifest.parent_path() / file;
}

void read_build(const Value& document, PluginInfo& plugin) {
  const Value& abi = document.at("abi");
  if (abi.as_int() < 0 || abi.as_int() > std::numeric_limits<int>::max())
    throw ConfigError(abi.mark(), "no plugin ABI number; build the plugin again");
  plugin.abi = static_cast<int>(abi.as_int());
  plugin.build_id = document.at("build_id").as_string();
  plugin.version = document.at("version").as_string();
  plugin.library = library_beside(plugin.manifest, document.at("library"));
  plugin.sha256 = document.at("sha256").as_string();
  const Value& size = document.at("size");
  if (size.as_int() < 0) throw ConfigError(size.mark(), "negative size; build the plugin again");
  plugin.size = static_cast<std::uintmax_t>(size.as_int());
}

void check_library(const PluginInfo& plugin) {
  const auto fail = [&](const std::string& text) {
    throw PluginError(plugin.library.string(), "manifest", text + "; build or install the plugin again");
  };
  std::error_code failure;
  if (!fs::is_regular_file(plugin.library, failure))
    fail("no such file, though " + plugin.manifest.filename().string() + " names it");
  const std::uintmax_t size = fs::file_size(plugin.library, failure);
  if (failure) fail("cannot be read");
  if (size != plugin.size)
    fail("has " + std::to_string(size) + " bytes, its manifest says " + std::to_string(plugin.size));
}

/// Kind and name as far as `<kind>.<name>` in a file name tells, for entries whose manifest doesn't.
void name_after_file(const fs::path& path, std::string_view suffix, PluginInfo& plugin) {
  plugin.name = path.filename().string();
  if (plugin.name.size() <= suffix.size() || !plugin.name.ends_with(suffix))
    throw ConfigError(path.string() + ": expected a file named KIND.NAME" + std::string(suffix));
  plugin.name.resize(plugin.name.size() - suffix.size());
  const std::size_t dot = plugin.name.find('.');
  if (dot == std::string::npos) return;
  try {
    plugin.kind = kind_from_name(std::string_view(plugin.name).substr(0, dot));
    plugin.name.erase(0, dot + 1);
  } catch (const UnknownName&) {
    // Somebody else's naming: the whole stem stays.
  }
}

void read(PluginInfo& plugin) {
  const Value document = load_yaml(plugin.manifest);
  if (const std::int64_t format = document.at("manifest").as_int(); format != kManifestFormat)
    throw ConfigError(document.at("manifest").mark(), "manifest format " + std::to_string(format) +
                                                          ", this host reads " + std::to_string(kManifestFormat) +
                                                          "; rebuild the plugin");
  document.require_known_keys({"manifest", "abi", "build_id", "version", "library", "size", "sha256", "plugin"});
  const Value& declaration = document.at("plugin");
  plugin.kind = kind_from_name(declaration.at("kind").as_string(), declaration.at("kind").mark());
  plugin.name = checked_name(declaration.at("name").as_string(), declaration.at("name").mark());
  read_build(document, plugin);
  // Before the declaration, whose keys may be others in another ABI.
  for (const std::string& text : {abi_problem(plugin.abi), build_id_problem(plugin.build_id)})
    if (!text.empty()) throw PluginError(plugin.library.string(), "manifest", text);
  read_declaration(declaration, plugin);
  check_library(plugin);
}

}  // namespace

std::string_view host_build_id() { return WHENCE_BUILD_ID; }

std::string abi_problem(std::int64_t abi) {
  if (abi == WHENCE_PLUGIN_ABI) return {};
  return "built for plugin ABI " + std::to_string(abi) + ", this host has " + std::to_string(WHENCE_PLUGIN_ABI) +
         (abi < WHENCE_PLUGIN_ABI ? "; rebuild the plugin" : "; update whence, or rebuild the plugin for it");
}

std::string build_id_problem(std::string_view build_id) {
  if (build_id == host_build_id()) return {};
  return "built with '" + std::string(build_id) + "', this host with '" + std::string(host_build_id()) +
         "'; rebuild the plugin with the host's compiler and libtorch";
}

PluginInfo read_manifest(const fs::path& manifest) {
  PluginInfo plugin;
  plugin.manifest = manifest;
  name_after_file(manifest, kManifestSuffix, plugin);
  try {
    read(plugin);
  } catch (const Error& error) {
    plugin.problem = error.what();
    std::replace(plugin.problem.begin(), plugin.problem.end(), '\n', ' ');
  }
  return plugin;
}

PluginInfo without_manifest(const fs::path& library) {
  PluginInfo plugin;
  plugin.library = library;
  name_after_file(library, kLibrarySuffix, plugin);
  plugin.problem = library.string() + ": no manifest beside it; build or install the plugin with whence_add_plugin()";
  return plugin;
}

}  // namespace whence::host
