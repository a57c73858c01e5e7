#pragma once

#include <filesystem>
#include <string_view>

#include "host/plugin_info.h"

namespace whence::host {

inline constexpr std::string_view kManifestSuffix = ".manifest.yaml";
inline constexpr std::string_view kLibrarySuffix = ".wplugin";

/// What must be equal for C++ objects to cross the boundary between this host and a plugin, as one line.
std::string_view host_build_id();

/// What one manifest says, and how it compares with this host and with the library beside it (existence and size; the
/// checksum is compared when the library is opened). Never throws: whatever is wrong is the `problem` of the result.
PluginInfo read_manifest(const std::filesystem::path& manifest);

/// The entry of a library that has no manifest.
PluginInfo without_manifest(const std::filesystem::path& library);

/// Why a plugin built for this ABI and build id cannot be used here; empty when it can. The same words serve manifest
/// and descriptor.
std::string abi_problem(std::int64_t abi);
std::string build_id_problem(std::string_view build_id);

}  // namespace whence::host
