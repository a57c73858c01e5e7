#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/plugin_info.h"

namespace whence::host {

/// All plugins found on a search path, read from their manifests alone: folders in order, none within them, files by
/// name. The first plugin of a name hides later ones, even when it is broken: what runs never depends on what happens
/// to be damaged. Two of one name in one folder are both refused. A broken manifest, or a library without one, is an
/// entry with a `problem`.
class Catalogue {
 public:
  /// Folders that don't exist are passed over.
  explicit Catalogue(const std::vector<std::filesystem::path>& search_path);

  /// Every plugin: sorted by kind and name, each shadowed one after the one that hides it.
  const std::vector<PluginInfo>& plugins() const { return plugins_; }
  const std::vector<std::filesystem::path>& search_path() const { return search_path_; }

  /// The plugin that a name or preset of this kind stands for. Throws UnknownName at `where`. The plugin may have a
  /// `problem`.
  const PluginInfo& find(PluginKind kind, std::string_view name, const Mark& where = {}) const;
  /// Names and preset names of a kind that are neither shadowed nor known to be broken, sorted.
  std::vector<std::string> names(PluginKind kind) const;

 private:
  std::vector<std::filesystem::path> search_path_;
  std::vector<PluginInfo> plugins_;
  /// What each name and preset name stands for: position in `plugins_`.
  std::map<std::pair<PluginKind, std::string>, std::size_t, std::less<>> found_;
};

}  // namespace whence::host
