#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include "host/plugin_info.h"

namespace whence::host {

/// All plugins found on a search path, read from their manifests alone. A broken manifest is an entry with a `problem`.
class Catalogue {
 public:
  explicit Catalogue(const std::vector<std::filesystem::path>& search_path);

  /// Every plugin: sorted by kind and name, each shadowed one after the one that hides it.
  const std::vector<PluginInfo>& plugins() const { return plugins_; }
  const std::vector<std::filesystem::path>& search_path() const { return search_path_; }

  /// The plugin that a name or preset of this kind stands for. Throws UnknownName at `where`.
  const PluginInfo& find(PluginKind kind, std::string_view name, const Mark& where = {}) const;
  /// Names and preset names of a kind that are not shadowed.
  std::vector<std::string> names(PluginKind kind) const;

 private:
  std::vector<std::filesystem::path> search_path_;
  std::vector<PluginInfo> plugins_;
};

}  // namespace whence::host
