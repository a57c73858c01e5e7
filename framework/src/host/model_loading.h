#pragma once

#include <functional>
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
  double seconds = 0;  ///< that loading took
  /// Architecture files that were passed over since they are no valid YAML, one error each.
  std::vector<std::string> broken_architectures;
};

/// Throws ModelError at `where` unless something lies at `path`.
void require_model(const std::string& path, const Mark& where = {});

/// How a checkpoint is to be loaded, as ModelRequest says.
struct LoadOptions {
  std::string dtype = "float32", weights = "auto";
  std::int64_t memory_bytes = 0;
};

/// What a plugin is asked to load, with all architecture files; errors of those that are no valid YAML are added to
/// `broken_architectures`. Throws ModelError when nothing lies at `path`.
ModelRequest model_request(const std::string& path, const LoadOptions& options,
                           std::vector<std::string>& broken_architectures);

/// The plugins that may load the checkpoint at `path`: the named one, else all that can be opened. Throws PluginError
/// when there is none.
std::vector<std::string> model_plugins(const Catalogue& catalogue, const std::string& path,
                                       const std::optional<std::string>& plugin);

/// Opens a checkpoint with the named model plugin or, without a name, with the first that recognises it. Throws
/// ModelError, UnknownName, PluginError; a ModelError tells of broken architecture files, since the right one may be
/// among them.
LoadedModel load_model(const PluginHost& host, const std::string& path, const std::optional<std::string>& plugin = {},
                       const LoadOptions& options = {});

/// Says what may make the numbers of a checkpoint wrong: tensors and settings that its model does not use, and
/// architecture files that were passed over.
void warn_of_checkpoint(const LoadedModel& loaded, const std::string& path,
                        const std::function<void(const std::string&)>& warn);

/// The architecture files on the search path, sorted by name; the first of a name wins.
std::vector<std::filesystem::path> architecture_files();

}  // namespace whence::host
