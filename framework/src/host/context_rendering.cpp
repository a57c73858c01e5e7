#include "host/context_rendering.h"

#include "host/guard.h"
#include "whence/context_renderer.h"

namespace whence::host {
namespace {

const ContextRenderer* context_power(const Renderer& renderer) {
  return static_cast<const ContextRenderer*>(renderer.query(ContextRenderer::kCapability));
}

std::string names_with_power(const PluginHost& host) {
  std::string names;
  for (const std::string& name : host.catalogue().names(PluginKind::renderer)) {
    try {
      if (context_power(*host.make_renderer({name, {}, {}}))) names += (names.empty() ? "" : ", ") + name;
    } catch (const Error&) {  // one that cannot be used is none to recommend
    }
  }
  return names;
}

const ContextRenderer& required_power(const PluginHost& host, const Choice& choice, const Renderer& renderer) {
  if (const ContextRenderer* power = context_power(renderer)) return *power;
  const std::string names = names_with_power(host);
  throw ConfigError(choice.where,
                    plugin_title(PluginKind::renderer, choice.name) +
                        ": draws no context attributions; those that do: " + (names.empty() ? "none" : names));
}

}  // namespace

void check_draws_context(const PluginHost& host, const Choice& renderer) {
  required_power(host, renderer, *host.make_renderer(renderer));
}

std::string render_context(const PluginHost& host, const OutputSpec& output, const ContextAttribution& result,
                           const Canvas& canvas) {
  const auto renderer = host.make_renderer(output.renderer);
  const ContextRenderer& power = required_power(host, output.renderer, *renderer);
  return with_place(output.renderer.where, plugin_title(PluginKind::renderer, output.renderer.name),
                    [&] { return power.render(result, canvas); });
}

}  // namespace whence::host
