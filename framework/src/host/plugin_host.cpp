#include "host/plugin_host.h"

#include "host/guard.h"
#include "host/guarded.h"
#include "host/manifest.h"
#include "host/plugin_library.h"

namespace whence::host {

PluginHost::PluginHost(const Catalogue& catalogue) : catalogue_(catalogue) {}
PluginHost::~PluginHost() = default;

const Catalogue& PluginHost::catalogue() const { return catalogue_; }

template <class Interface>
std::unique_ptr<Interface> PluginHost::make(PluginKind kind, const Choice& choice) const {
  const PluginInfo& plugin = catalogue_.find(kind, choice.name, choice.where);
  // A broken plugin's parameters may be unknown, so its problem comes first; parameters are checked before anything is
  // opened.
  if (!plugin.problem.empty()) throw PluginError("", "manifest", plugin.problem);
  const Params params = check_params(plugin, choice);
  const auto& factory = std::get<Factory<Interface>>(open_library(plugin));
  const std::string path = plugin.library.string();
  try {
    auto instance = guard(path, "create", [&] { return factory(params); });
    if (!instance)
      throw PluginError(path, "create",
                        "the factory of " + plugin_title(kind, plugin.name) +
                            " returned nothing; report this to the plugin's author");
    return guarded(std::move(instance), path);
  } catch (const ConfigError& error) {
    // A plugin that refuses a combination of parameters doesn't know where they were written.
    if (error.where().file.empty() && !choice.where.file.empty()) throw ConfigError(choice.where, error.what());
    throw;
  }
}

std::unique_ptr<ModelLoader> PluginHost::make_model_loader(const Choice& choice) const {
  return make<ModelLoader>(PluginKind::model, choice);
}
std::unique_ptr<Method> PluginHost::make_method(const Choice& choice) const {
  return make<Method>(PluginKind::method, choice);
}
std::unique_ptr<StepFunction> PluginHost::make_step_function(const Choice& choice) const {
  return make<StepFunction>(PluginKind::step_function, choice);
}
std::unique_ptr<Aggregator> PluginHost::make_aggregator(const Choice& choice) const {
  return make<Aggregator>(PluginKind::aggregator, choice);
}
std::unique_ptr<Renderer> PluginHost::make_renderer(const Choice& choice) const {
  return make<Renderer>(PluginKind::renderer, choice);
}
std::unique_ptr<Metric> PluginHost::make_metric(const Choice& choice) const {
  return make<Metric>(PluginKind::metric, choice);
}

void PluginHost::check(const PluginInfo& plugin) const {
  open_library(plugin);
  check_exports(plugin);
}

void check_plugin(const std::filesystem::path& manifest) {
  const PluginInfo plugin = read_manifest(std::filesystem::absolute(manifest));
  open_library(plugin);
  check_exports(plugin);
}

}  // namespace whence::host
