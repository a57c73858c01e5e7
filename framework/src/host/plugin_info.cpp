#include "host/plugin_info.h"

#include <array>
#include <utility>

namespace whence::host {
namespace {

constexpr std::array kKinds = {PluginKind::model,      PluginKind::method,   PluginKind::step_function,
                               PluginKind::aggregator, PluginKind::renderer, PluginKind::metric};
constexpr std::array<std::string_view, 6> kNames = {"model",      "method",   "step_function",
                                                    "aggregator", "renderer", "metric"};

}  // namespace

std::span<const PluginKind> plugin_kinds() { return kKinds; }

std::string_view kind_name(PluginKind kind) { return kNames[static_cast<std::size_t>(kind)]; }

PluginKind kind_from_name(std::string_view name, const Mark& where) {
  for (const PluginKind kind : kKinds)
    if (kind_name(kind) == name) return kind;
  throw UnknownName(where, "plugin kind", name, {kNames.begin(), kNames.end()});
}

}  // namespace whence::host
