#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "host/run.h"

namespace whence::host {

/// The file names of a run directory.
inline constexpr const char* kExperimentFile = "experiment.yaml";
inline constexpr const char* kManifestFile = "manifest.json";
inline constexpr const char* kCrateFile = "ro-crate-metadata.json";
/// "results/<name>.json".
std::string result_file(const std::string& attribution);

/// Everything that shows where results came from, as JSON (docs/results.md); `files` maps what the run directory holds
/// besides to its bytes.
std::string manifest_json(const PluginHost& host, const Experiment& experiment, const std::string& key,
                          const ComputedRun& run, const std::map<std::string, std::string>& files);

/// The manifest of a run directory. Throws InputError unless it is one, as far as this header and `reproduce` read it.
nlohmann::json read_run_manifest(const std::filesystem::path& directory);

/// Files of the run directory that are missing or not those of its manifest, one line each with both checksums.
std::vector<std::string> changed_files(const nlohmann::json& manifest, const std::filesystem::path& directory);

/// "what: sha256 was a, is b"
std::string change_text(const std::string& what, const std::string& then, const std::string& now);

/// The description of the run directory as an RO-Crate 1.1, https://w3id.org/ro/crate/1.1.
std::string crate_json(const Experiment& experiment, const ComputedRun& run,
                       const std::map<std::string, std::string>& files);

}  // namespace whence::host
