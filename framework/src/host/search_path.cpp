#include "host/search_path.h"

#include <boost/dll/runtime_symbol_info.hpp>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>

#include "whence/error.h"

namespace whence::host {
namespace {

namespace fs = std::filesystem;

/// Folders of a colon-separated list; empty entries, which other programs read as the working directory, are dropped.
std::vector<fs::path> folders_from_environment(const char* variable) {
  std::vector<fs::path> folders;
  const char* value = std::getenv(variable);
  std::string_view rest = value ? value : "";
  while (!rest.empty()) {
    const std::size_t colon = rest.find(':');
    if (const auto folder = rest.substr(0, colon); !folder.empty()) folders.emplace_back(folder);
    rest.remove_prefix(colon == std::string_view::npos ? rest.size() : colon + 1);
  }
  return folders;
}

void append_checked(std::vector<fs::path>& all, const std::vector<fs::path>& folders, std::string_view given_by) {
  for (const auto& folder : folders) {
    if (folder.empty()) continue;
    std::error_code failure;
    if (!fs::is_directory(folder, failure))
      throw ConfigError(folder.string() + ": no such plugin folder; correct " + std::string(given_by));
    all.push_back(folder);
  }
}

/// Absolute, and each folder once, where it comes first. Links are followed as far as they can be read.
std::vector<fs::path> without_repetition(const std::vector<fs::path>& folders) {
  std::vector<fs::path> unique;
  std::set<fs::path> seen;
  for (const auto& folder : folders) {
    std::error_code unreadable;
    fs::path absolute = fs::weakly_canonical(fs::absolute(folder), unreadable);
    if (unreadable) absolute = fs::absolute(folder).lexically_normal();
    if (seen.insert(absolute).second) unique.push_back(std::move(absolute));
  }
  return unique;
}

}  // namespace

std::vector<fs::path> plugin_search_path(const std::vector<fs::path>& from_experiment,
                                         const std::vector<fs::path>& from_command_line) {
  std::vector<fs::path> folders;
  append_checked(folders, from_experiment, "plugins.paths");
  append_checked(folders, from_command_line, "--plugin-path");
  for (auto& folder : folders_from_environment("WHENCE_PLUGIN_PATH")) folders.push_back(std::move(folder));
  folders.push_back(installation_prefix() / "lib" / "whence" / "plugins");
  return without_repetition(folders);
}

std::vector<fs::path> architecture_search_path() {
  auto folders = folders_from_environment("WHENCE_ARCHITECTURE_PATH");
  folders.push_back(installation_prefix() / "share" / "whence" / "architectures");
  return without_repetition(folders);
}

fs::path installation_prefix() { return fs::path(boost::dll::program_location()).parent_path().parent_path(); }

}  // namespace whence::host
