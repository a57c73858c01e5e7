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

std::string as_text(const PluginInfo& plugin, int width) {
  std::string text =
      std::string(host::kind_name(plugin.kind)) + " " + plugin.name + "\n" + wrapped(plugin.summary, 2, width);
  if (!plugin.problem.empty()) text += "problem:\n" + wrapped(plugin.problem, 2, width);
  if (!plugin.paper.empty()) text += "paper:\n" + wrapped(plugin.paper, 2, width);
  if (!plugin.cost.empty()) text += "cost:\n" + wrapped(plugin.cost, 2, width);
  text += plugin.parameters.empty() ? "parameters: none\n" : "parameters:\n";
  for (const ParamSpec& spec : plugin.parameters) {
    text += "  " + spec.name + ": " + spec.type +
            (spec.required                  ? ", required"
             : spec.default_value.is_null() ? ""
                                            : ", default " + scalar_text(spec.default_value));
    const std::string limits = limits_of(spec);
    text += (limits.empty() ? "" : ", " + limits) + "\n" + wrapped(spec.help, 6, width);
  }
  if (!plugin.presets.empty()) text += "presets:\n";
  for (const auto& [name, preset] : plugin.presets) {
    const Value* summary = preset.find("summary");
    text += "  " + name + (summary ? ": " + summary->as_string() : "") + "\n";
  }
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
  for (const PluginKind kind : {PluginKind::model, PluginKind::method, PluginKind::step_function,
                                PluginKind::aggregator, PluginKind::renderer}) {
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
