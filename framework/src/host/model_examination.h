#pragma once

#include <optional>
#include <string>

#include "host/plugin_host.h"
#include "whence/checkpoint_report.h"

namespace whence::host {

/// What the plugin that is made for a checkpoint says of it.
struct ExaminedModel {
  std::string plugin;
  CheckpointReport report;
};

/// Looks at a checkpoint with the named model plugin or, without a name, with the first that recognises it, and loads
/// it when no problem is found: a report without problems is that of a checkpoint that loads. Throws ModelError when
/// nothing lies at `path`, UnknownName, PluginError.
ExaminedModel examine_model(const PluginHost& host, const std::string& path,
                            const std::optional<std::string>& plugin = {});

}  // namespace whence::host
