#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace whence::host {

/// The folders searched for plugins, in order: `from_experiment` (plugins.paths, relative to the experiment's folder),
/// `from_command_line` (--plugin-path), WHENCE_PLUGIN_PATH (colon separated), the folder installed beside the host.
/// Never the working directory: empty entries are dropped. All are made absolute.
std::vector<std::filesystem::path> plugin_search_path(const std::vector<std::filesystem::path>& from_experiment,
                                                      const std::vector<std::filesystem::path>& from_command_line);

/// Folders with architecture files: WHENCE_ARCHITECTURE_PATH (colon separated), then the one installed beside the host.
std::vector<std::filesystem::path> architecture_search_path();

/// The running program's own folder's parent ("prefix"): bin/, lib/whence/plugins and share/whence lie in it.
std::filesystem::path installation_prefix();

}  // namespace whence::host
