#include "host/catalogue.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <tuple>

#include "host/manifest.h"
#include "host/param_check.h"

namespace whence::host {
namespace {

namespace fs = std::filesystem;

bool has_suffix(const fs::path& path, std::string_view suffix) {
  const std::string name = path.filename().string();
  return name.size() > suffix.size() && name.ends_with(suffix);
}

/// The entries of one folder, sorted by file name; those of folders nobody may read are one entry with a problem.
std::vector<PluginInfo> scan(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code failure;
  if (!fs::is_directory(folder, failure)) return {};
  for (fs::directory_iterator entry(folder, failure), end; !failure && entry != end; entry.increment(failure))
    files.push_back(entry->path());
  std::vector<PluginInfo> plugins;
  if (failure) {
    PluginInfo unreadable;
    unreadable.manifest = folder;
    unreadable.name = folder.filename().string();
    unreadable.problem =
        folder.string() + ": plugin folder cannot be read: " + failure.message() + "; check its permissions";
    plugins.push_back(std::move(unreadable));
  }
  std::sort(files.begin(), files.end());
  std::set<fs::path> described;
  for (const auto& file : files) {
    if (!has_suffix(file, kManifestSuffix)) continue;
    plugins.push_back(read_manifest(file));
    described.insert(plugins.back().library);
    // A manifest too broken to name its library still speaks for the one of the same name.
    const std::string name = file.filename().string();
    described.insert(folder / (name.substr(0, name.size() - kManifestSuffix.size()) + std::string(kLibrarySuffix)));
  }
  for (const auto& file : files)
    if (has_suffix(file, kLibrarySuffix) && !described.contains(file)) plugins.push_back(without_manifest(file));
  return plugins;
}

/// Which of two plugins of one name in one folder is meant is anybody's guess.
void refuse_duplicates(std::vector<PluginInfo>& plugins) {
  for (PluginInfo& plugin : plugins)
    for (const PluginInfo& other : plugins)
      if (&plugin != &other && !plugin.manifest.empty() && !other.manifest.empty() && plugin.kind == other.kind &&
          plugin.name == other.name && plugin.problem.empty())
        plugin.problem = plugin.manifest.string() + ": " + plugin_title(plugin.kind, plugin.name) +
                         " is also declared by " + other.manifest.string() + "; remove or rename one of the two";
}

}  // namespace

Catalogue::Catalogue(const std::vector<fs::path>& search_path) : search_path_(search_path) {
  for (const auto& folder : search_path_) {
    auto plugins = scan(folder);
    refuse_duplicates(plugins);
    std::move(plugins.begin(), plugins.end(), std::back_inserter(plugins_));
  }
  // From here on entries move, so names are first resolved to the file of their entry.
  std::map<std::pair<PluginKind, std::string>, fs::path> first;
  const auto file_of = [](const PluginInfo& plugin) {
    return plugin.manifest.empty() ? plugin.library : plugin.manifest;
  };
  for (PluginInfo& plugin : plugins_) {
    const auto [found, is_new] = first.emplace(std::pair(plugin.kind, plugin.name), file_of(plugin));
    if (!is_new) plugin.shadowed_by = found->second;
  }
  for (const PluginInfo& plugin : plugins_)
    if (plugin.shadowed_by.empty())
      for (const auto& [preset, params] : plugin.presets)
        first.emplace(std::pair(plugin.kind, preset), file_of(plugin));
  std::stable_sort(plugins_.begin(), plugins_.end(), [](const PluginInfo& a, const PluginInfo& b) {
    return std::tie(a.kind, a.name) < std::tie(b.kind, b.name);
  });
  for (const auto& [name, file] : first)
    found_[name] =
        static_cast<std::size_t>(std::find_if(plugins_.begin(), plugins_.end(),
                                              [&, &path = file](const auto& p) { return file_of(p) == path; }) -
                                 plugins_.begin());
}

const PluginInfo& Catalogue::find(PluginKind kind, std::string_view name, const Mark& where) const {
  const auto found = found_.find(std::pair(kind, std::string(name)));
  if (found == found_.end()) throw UnknownName(where, kind_name(kind), name, names(kind));
  return plugins_[found->second];
}

std::vector<std::string> Catalogue::names(PluginKind kind) const {
  std::vector<std::string> names;
  for (const auto& [key, index] : found_)
    if (key.first == kind && plugins_[index].problem.empty()) names.push_back(key.second);
  return names;
}

}  // namespace whence::host
