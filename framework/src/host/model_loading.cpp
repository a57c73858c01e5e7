#include "host/model_loading.h"

#include <chrono>

#include "host/search_path.h"
#include "host/yaml.h"
#include "whence/checkpoint_report.h"

namespace whence::host {
namespace {

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

/// Names of model plugins that can be opened.
std::vector<std::string> usable_plugins(const Catalogue& catalogue) {
  std::vector<std::string> names;
  for (const PluginInfo& plugin : catalogue.plugins())
    if (plugin.kind == PluginKind::model && plugin.problem.empty() && plugin.shadowed_by.empty())
      names.push_back(plugin.name);
  return names;
}

}  // namespace

std::vector<std::filesystem::path> architecture_files() {
  std::map<std::string, std::filesystem::path> files;
  for (const auto& folder : architecture_search_path()) {
    std::error_code unreadable;
    for (const auto& entry : std::filesystem::directory_iterator(folder, unreadable))
      if (entry.path().extension() == ".yaml") files.emplace(entry.path().filename().string(), entry.path());
  }
  std::vector<std::filesystem::path> sorted;
  for (const auto& [_, path] : files) sorted.push_back(path);
  return sorted;
}

void require_model(const std::string& path, const Mark& where) {
  std::error_code failure;
  if (std::filesystem::exists(path, failure)) return;
  const std::string place = where.text();
  throw ModelError((place.empty() ? "" : place + ": ") + path + ": " +
                   (failure ? "cannot be opened: " + failure.message() : "no such file or directory") +
                   "; expected the file or the folder of a checkpoint (bare names are also looked for in the folders "
                   "of WHENCE_MODELS)");
}

ModelRequest model_request(const std::string& path, const LoadOptions& options,
                           std::vector<std::string>& broken_architectures) {
  require_model(path);
  ModelRequest request;
  request.path = path;
  request.dtype = options.dtype;
  request.weights = options.weights;
  request.memory_bytes = options.memory_bytes;
  for (const auto& file : architecture_files()) {
    try {
      request.architectures.push_back(load_yaml(file));
    } catch (const ConfigError& error) {
      broken_architectures.push_back(error.what());
    }
  }
  return request;
}

std::vector<std::string> model_plugins(const Catalogue& catalogue, const std::string& path,
                                       const std::optional<std::string>& plugin) {
  std::vector<std::string> candidates = plugin ? std::vector<std::string>{*plugin} : usable_plugins(catalogue);
  if (candidates.empty())
    throw PluginError(
        path, "model",
        "no usable model plugin is installed; 'whence doctor' shows where plugins are searched and what is wrong");
  return candidates;
}

LoadedModel load_model(const PluginHost& host, const std::string& path, const std::optional<std::string>& plugin,
                       const LoadOptions& options) {
  const auto began = std::chrono::steady_clock::now();
  LoadedModel loaded;
  const ModelRequest request = model_request(path, options, loaded.broken_architectures);
  const std::vector<std::string> candidates = model_plugins(host.catalogue(), path, plugin);
  try {
    for (const std::string& name : candidates) {
      loaded.plugin = name;
      loaded.loader = host.make_model_loader({name, {}, {}});
      // The only candidate need not be asked: its own error says best what is wrong with the checkpoint.
      if (candidates.size() > 1 && !loaded.loader->recognises(request)) continue;
      loaded.model = loaded.loader->load(request);
      loaded.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
      return loaded;
    }
    // None recognises it: the first one's own error says best what is wrong with the checkpoint.
    host.make_model_loader({candidates.front(), {}, {}})->load(request);
  } catch (const ModelError& error) {
    if (loaded.broken_architectures.empty()) throw;
    throw ModelError(error.what() + ("; architectures not read: " + joined(loaded.broken_architectures)));
  }
  throw ModelError(path + ": no model plugin recognises this checkpoint (asked: " + joined(candidates) +
                   "); expected one of a known architecture");
}

void warn_of_checkpoint(const LoadedModel& loaded, const std::string& path,
                        const std::function<void(const std::string&)>& warn) {
  for (const std::string& error : loaded.broken_architectures) warn("passed over: " + error);
  const auto say = [&](const std::vector<std::string>& list, const std::string& what) {
    if (!list.empty())
      warn(path + ": " + std::to_string(list.size()) + " of the checkpoint's " + what + " are not used, such as '" +
           list.front() + "'; 'whence doctor' lists them");
  };
  if (const auto* use = static_cast<const TensorUse*>(loaded.model->query(TensorUse::kCapability)))
    say(use->unused, "tensors");
  if (const auto* unread = static_cast<const UnreadSettings*>(loaded.model->query(UnreadSettings::kCapability)))
    say(unread->settings, "settings");
}

}  // namespace whence::host
