#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/plugin_host.h"

namespace whence::host {

/// A loaded checkpoint and the plugin that made it. The loader outlives the model.
struct LoadedModel {
  std::unique_ptr<ModelLoader> loader;
  std::unique_ptr<Model> model;
  std::string plugin;
};

/// Opens a checkpoint with the named model plugin or, without a name, with the first that recognises it. Throws
/// ModelError, UnknownName, PluginError; ConfigError for a broken architecture file.
LoadedModel load_model(const PluginHost& host, const std::string& path, const std::optional<std::string>& plugin,
                       const std::string& dtype);

/// The architecture files on the search path, sorted by name; the first of a name wins.
std::vector<std::filesystem::path> architecture_files();

}  // namespace whence::host
