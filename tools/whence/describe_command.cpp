#include "command.h"
#include "console.h"
#include "host/yaml.h"
#include "json_value.h"
#include "session.h"

namespace whence::cli {
namespace {

using host::ParamSpec;
using host::PluginInfo;
using host::PluginKind;

std::string scalar_text(const Value& value) {
  if (value.is_list()) return to_json(value).dump();
  std::string text = host::to_yaml(value);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

std::string limits_of(const ParamSpec& spec) {
  std::string text;
  if (!spec.choices.empty()) {
    for (const Value& choice : spec.choices) text += (text.empty() ? "one of " : ", ") + scalar_text(choice);
    return text;
  }
  const auto number = [](double value) {
    return nlohmann::ordered_json(value == std::int64_t(value) ? nlohmann::ordered_json(std::int64_t(value))
                                                               : nlohmann::ordered_json(value))
        .dump();
  };
  if (spec.minimum) text += "at least " + number(*spec.minimum);
  if (spec.maximum) text += (text.empty() ? "at most " : ", at most ") + number(*spec.maximum);
  return text;
}

std::string parameter_text(const ParamSpec& spec, int width) {
  std::string line = "  " + spec.name + ": " + spec.type +
                     (spec.required                  ? ", required"
                      : spec.default_value.is_null() ? ""
                                                     : ", default " + scalar_text(spec.default_value));
  std::string limits = limits_of(spec);
  if (!limits.empty() && line.size() + 2 + limits.size() <= static_cast<std::size_t>(width)) {
    line += ", " + limits;
    limits.clear();
  }
  return line + "\n" + wrapped(limits, 6, width) + wrapped(spec.help, 6, width);
}

/// Every preset with what it fixes and, where plugin.yaml says it, what that is for.
std::string presets_text(const PluginInfo& plugin, int width) {
  std::string text;
  for (const auto& [name, fixed] : plugin.presets) {
    std::string parameters;
    for (const auto& [parameter, value] : fixed.as_map())
      parameters += (parameters.empty() ? "" : ", ") + parameter + ": " + scalar_text(value);
    text += wrapped(name + ": {" + parameters + "}", 2, width);
    if (const Value* summary = plugin.declaration.at("presets").at(name).find("summary"))
      text += wrapped(summary->as_string(), 6, width);
  }
  return text;
}

std::string as_text(const PluginInfo& plugin, int width) {
  std::string text =
      std::string(host::kind_name(plugin.kind)) + " " + plugin.name + "\n" + wrapped(plugin.summary, 2, width);
  if (!plugin.problem.empty()) text += "problem:\n" + wrapped(plugin.problem, 2, width);
  if (!plugin.paper.empty()) text += "paper:\n" + wrapped(plugin.paper, 2, width);
  if (!plugin.cost.empty()) text += "cost:\n" + wrapped(plugin.cost, 2, width);
  if (plugin.cost_formulas) {
    const auto line = [&](const std::string& name, const std::string& formula) {
      text += wrapped(name + " = " + formula, 4, width);
    };
    text += "  for one text of which rows tokens come before the last of steps explained ones:\n";
    line("forward rows", plugin.cost_formulas->forward_rows);
    line("backward rows", plugin.cost_formulas->backward_rows);
    for (const auto& [name, formula] : plugin.cost_formulas->where) line("where " + name, formula);
  }
  text += plugin.parameters.empty() ? "parameters: none\n" : "parameters:\n";
  for (const ParamSpec& spec : plugin.parameters) text += parameter_text(spec, width);
  if (!plugin.presets.empty())
    text += "presets, each a name for the plugin with these parameters:\n" + presets_text(plugin, width);
  return text + "version " + plugin.version + ", " + plugin.manifest.string() + "\n";
}

std::string as_json(const PluginInfo& plugin) {
  return nlohmann::ordered_json{{"kind", host::kind_name(plugin.kind)},
                                {"name", plugin.name},
                                {"version", plugin.version},
                                {"manifest", plugin.manifest.string()},
                                {"library", plugin.library.string()},
                                {"problem", plugin.problem},
                                {"plugin", to_json(plugin.declaration)}}
             .dump(2) +
         "\n";
}

const PluginInfo& find(const host::Catalogue& catalogue, const std::vector<std::string>& words) {
  if (words.size() == 2) return catalogue.find(host::kind_from_name(words[0]), words[1]);
  std::vector<const PluginInfo*> found;
  std::vector<std::string> known;
  // Names of broken plugins are no candidates, but asked for they are described with their problem.
  for (const PluginInfo& plugin : catalogue.plugins())
    if (plugin.name == words[0] && plugin.shadowed_by.empty() && !plugin.problem.empty()) found.push_back(&plugin);
  for (const PluginKind kind : host::plugin_kinds()) {
    const std::vector<std::string> names = catalogue.names(kind);
    known.insert(known.end(), names.begin(), names.end());
    if (std::find(names.begin(), names.end(), words[0]) != names.end())
      found.push_back(&catalogue.find(kind, words[0]));
  }
  if (found.empty()) throw UnknownName({}, "plugin", words[0], known);
  if (found.size() == 1) return *found.front();
  std::string kinds;
  for (const PluginInfo* plugin : found)
    kinds += (kinds.empty() ? "" : ", ") + std::string(host::kind_name(plugin->kind));
  throw ConfigError("'" + words[0] + "' is the name of several plugins: " + kinds + "; write the kind before it");
}

int run(const Arguments& arguments) {
  expect_positional(arguments, 1, 2, "[KIND] NAME");
  const Session session(arguments);
  const PluginInfo& plugin = find(session.catalogue, arguments.positional());
  print(arguments.on("json") ? as_json(plugin) : as_text(plugin, std::min(output_canvas(arguments).columns, 100)));
  return 0;
}

}  // namespace

Command describe_command() {
  return {"describe",
          "[KIND] NAME [options]",
          "Show what a plugin does and its parameters",
          "KIND is needed only where plugins of several kinds share a name. No library is opened.",
          {},
          run};
}

}  // namespace whence::cli
