#pragma once

#include <tuple>

#include "host/plugin_info.h"
#include "whence/registrar.h"

namespace whence::host {

/// What the one plugin of a library registered: exactly one of these is set.
using Factories = std::tuple<Factory<ModelLoader>, Factory<Method>, Factory<StepFunction>, Factory<Aggregator>,
                             Factory<Renderer>, Factory<Metric>>;

/// Opens the library of a plugin, once in the life of the process, and never closes it. Whatever can be compared is
/// compared before: size and checksum, since opening a damaged file can end the process. Then the descriptor is, field
/// by field, and only then code of the plugin runs. Throws PluginError. [thread: any]
const Factories& open_library(const PluginInfo& plugin);

/// Throws PluginError when the library exports anything besides its descriptor.
void check_exports(const PluginInfo& plugin);

}  // namespace whence::host
