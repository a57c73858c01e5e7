#include "command.h"
#include "console.h"
#include "json_value.h"
#include "session.h"

namespace whence::cli {
namespace {

using host::PluginInfo;

std::string status_of(const PluginInfo& plugin) {
  if (!plugin.shadowed_by.empty()) return "shadowed by " + plugin.shadowed_by.string();
  return plugin.problem.empty() ? "ok" : plugin.problem;
}

std::vector<std::string> presets_of(const PluginInfo& plugin) {
  std::vector<std::string> names;
  for (const auto& [name, _] : plugin.presets) names.push_back(name);
  return names;
}

std::string as_json(const std::vector<const PluginInfo*>& plugins) {
  auto list = nlohmann::ordered_json::array();
  for (const PluginInfo* plugin : plugins)
    list.push_back({{"kind", host::kind_name(plugin->kind)},
                    {"name", plugin->name},
                    {"summary", plugin->summary},
                    {"presets", presets_of(*plugin)},
                    {"version", plugin->version},
                    {"manifest", plugin->manifest.string()},
                    {"library", plugin->library.string()},
                    {"problem", plugin->problem},
                    {"shadowed_by", plugin->shadowed_by.string()}});
  return list.dump(2) + "\n";
}

std::string as_text(const std::vector<const PluginInfo*>& plugins, bool verbose) {
  std::string text;
  std::optional<host::PluginKind> kind;
  std::size_t longest = 0;
  for (const PluginInfo* plugin : plugins) longest = std::max(longest, plugin->name.size());
  for (const PluginInfo* plugin : plugins) {
    if (kind != plugin->kind) text += (text.empty() ? "" : "\n") + std::string(host::kind_name(plugin->kind)) + "\n";
    kind = plugin->kind;
    const bool usable = plugin->problem.empty() && plugin->shadowed_by.empty();
    text += "  " + plugin->name + std::string(longest + 2 - plugin->name.size(), ' ') +
            (usable ? plugin->summary : status_of(*plugin)) + "\n";
    std::string presets;
    for (const std::string& name : presets_of(*plugin)) presets += (presets.empty() ? "" : ", ") + name;
    if (usable && !presets.empty()) text += std::string(longest + 4, ' ') + "also as " + presets + "\n";
    if (verbose)
      text += std::string(longest + 4, ' ') + (plugin->version.empty() ? "" : "version " + plugin->version + ", ") +
              plugin->manifest.string() + "\n";
  }
  return text;
}

int run(const Arguments& arguments) {
  expect_positional(arguments, 0, 1, "at most the kind of plugin");
  std::optional<host::PluginKind> kind;
  if (!arguments.positional().empty()) kind = host::kind_from_name(arguments.positional().front());
  const Session session(arguments);
  const bool verbose = arguments.on("verbose");
  std::vector<const PluginInfo*> shown;
  for (const PluginInfo& plugin : session.catalogue.plugins())
    if ((!kind || plugin.kind == *kind) && (verbose || arguments.on("json") || plugin.shadowed_by.empty()))
      shown.push_back(&plugin);
  print(arguments.on("json") ? as_json(shown) : as_text(shown, verbose));
  return 0;
}

}  // namespace

Command list_command() {
  using enum OptionKind;
  return {"list",
          "[KIND] [options]",
          "List the plugins that are found",
          "KIND is model, method, step_function, aggregator, renderer or metric. No library is opened.",
          {{"verbose", flag, {"-v"}, "", "versions, manifests and what is shadowed, too"}},
          run};
}

}  // namespace whence::cli
