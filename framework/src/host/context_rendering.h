#pragma once

#include <string>

#include "host/experiment.h"
#include "host/plugin_host.h"
#include "whence/context_attribution.h"
#include "whence/renderer.h"

namespace whence::host {

/// Makes a renderer only to see whether it draws context attributions: for before long work. Throws ConfigError that
/// names those that do, and what `PluginHost::make_renderer` throws.
void check_draws_context(const PluginHost& host, const Choice& renderer);

/// One rendering of a context attribution, as `render` of other results. Throws as `check_draws_context`; errors of the
/// renderer name the place of the choice.
std::string render_context(const PluginHost& host, const OutputSpec& output, const ContextAttribution& result,
                           const Canvas& canvas);

}  // namespace whence::host
