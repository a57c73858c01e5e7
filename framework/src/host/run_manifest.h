#pragma once

#include <filesystem>
#include <map>
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

/// The files of a checkpoint: the file itself, or every file that lies directly in the folder, sorted.
std::vector<std::filesystem::path> checkpoint_files(const std::string& model_path);

/// Everything that shows where results came from, as JSON (docs/results.md); `files` maps what the run directory holds
/// besides to its bytes.
std::string manifest_json(const PluginHost& host, const Experiment& experiment, const std::string& key,
                          const ComputedRun& run, const std::map<std::string, std::string>& files);

/// The description of the run directory as an RO-Crate 1.1, https://w3id.org/ro/crate/1.1.
std::string crate_json(const Experiment& experiment, const ComputedRun& run,
                       const std::map<std::string, std::string>& files);

}  // namespace whence::host
