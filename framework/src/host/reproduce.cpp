#include "host/reproduce.h"

#include <ATen/ops/isfinite.h>
#include <ATen/ops/isnan.h>
#include <ATen/ops/zeros_like.h>

#include <nlohmann/json.hpp>

#include "host/checksum.h"
#include "host/context_reproduce.h"
#include "host/context_run.h"
#include "host/run_directory.h"
#include "host/run_manifest.h"
#include "host/yaml.h"
#include "whence/result_json.h"

namespace whence::host {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

std::string shape_text(const Tensor& tensor) {
  std::string text = "[";
  for (const std::int64_t size : tensor.sizes()) text += (text.size() > 1 ? "," : "") + std::to_string(size);
  return text + "]";
}

std::vector<TensorDeviation> compare_sequence(const std::string& name, const std::string& sequence,
                                              const SequenceAttribution& stored, const SequenceAttribution& made,
                                              const ReproduceOptions& options) {
  const TensorDeviation blank{name, sequence, "", 0, 0, true, ""};
  const auto named = [&](const std::string& tensor) {
    TensorDeviation deviation = blank;
    deviation.tensor = tensor;
    return deviation;
  };
  TensorDeviation tokens = named("tokens");
  tokens.agrees = stored.source == made.source && stored.target == made.target && stored.steps == made.steps;
  if (!tokens.agrees) tokens.problem = "other tokens or positions";
  std::vector<TensorDeviation> result{tokens};
  const auto add = [&](const std::string& tensor, const Tensor& expected, const Tensor& found) {
    if (expected.defined() || found.defined())
      result.push_back(compare_tensor(named(tensor), expected, found, options));
  };
  const auto add_all = [&](const std::string& group, const std::map<std::string, Tensor>& expected,
                           const std::map<std::string, Tensor>& found) {
    std::map<std::string, Tensor> every = expected;
    every.insert(found.begin(), found.end());
    const auto in = [](const std::map<std::string, Tensor>& map, const std::string& key) {
      const auto entry = map.find(key);
      return entry == map.end() ? Tensor() : entry->second;
    };
    for (const auto& [key, _] : every) add(group + "." + key, in(expected, key), in(found, key));
  };
  add("source_attributions", stored.source_attributions, made.source_attributions);
  add("target_attributions", stored.target_attributions, made.target_attributions);
  add_all("step_scores", stored.step_scores, made.step_scores);
  add_all("sequence_scores", stored.sequence_scores, made.sequence_scores);
  return result;
}

/// Checkpoint files that are not those of the manifest.
std::vector<std::string> changed_model_files(const Json& manifest, const fs::path& model_path) {
  std::vector<std::string> changes;
  std::error_code unreadable;
  for (const Json& entry : manifest.at("model").at("files")) {
    const std::string name = fs::path(entry.at("path").get<std::string>()).filename().string();
    const std::string then = entry.at("sha256").get<std::string>();
    // A single file may have been moved under another name.
    const fs::path file = fs::is_directory(model_path, unreadable) ? model_path / name : model_path;
    if (!fs::is_regular_file(file, unreadable))
      changes.push_back("model file " + name + ": is missing (sha256 was " + then + ")");
    else if (const std::string now = sha256_of_file(file); now != then)
      changes.push_back(change_text("model file " + name, then, now));
  }
  return changes;
}

std::vector<std::string> changed_plugins(const Json& manifest, const Catalogue& catalogue) {
  std::vector<std::string> changes;
  for (const Json& entry : manifest.at("plugins")) {
    const PluginKind kind = kind_from_name(entry.at("kind").get<std::string>());
    const std::string name = entry.at("name").get<std::string>(), then = entry.at("sha256").get<std::string>();
    const PluginInfo& plugin = catalogue.find(kind, name);
    if (plugin.sha256 != then)
      changes.push_back(change_text(std::string(kind_name(kind)) + " plugin " + name, then, plugin.sha256));
  }
  return changes;
}

}  // namespace

TensorDeviation compare_tensor(TensorDeviation deviation, const Tensor& stored, const Tensor& made,
                               const ReproduceOptions& options) {
  const auto differ = [&](const std::string& problem) {
    deviation.agrees = false;
    deviation.problem = problem;
    return deviation;
  };
  if (!stored.defined() || !made.defined())
    return differ(stored.defined() ? "stored, but not made again" : "made, but not stored");
  if (stored.sizes() != made.sizes())
    return differ("stored with shape " + shape_text(stored) + ", made with " + shape_text(made));
  if (stored.numel() == 0) return deviation;
  const Tensor expected = stored.to(at::kDouble), found = made.to(at::kDouble);
  if (!expected.isnan().equal(found.isnan())) return differ("blanks (NaN) stand at other places");
  const Tensor known = expected.isnan().logical_not();
  const Tensor zeros = at::zeros_like(expected);
  const Tensor distance = (found - expected).abs().where(known, zeros);
  const Tensor size = expected.abs().where(known, zeros);
  const double absolute = options.absolute * size.max().item<double>();
  deviation.largest_absolute = distance.max().item<double>();
  deviation.largest_relative = (distance / size.clamp_min(std::max(absolute, 1e-300))).max().item<double>();
  // Written so that infinities and NaN of a damaged file disagree.
  deviation.agrees = (distance <= absolute + options.relative * size).all().item<bool>();
  return deviation;
}

std::vector<TensorDeviation> compare(const std::string& name, const AttributionOutput& stored,
                                     const AttributionOutput& made, const ReproduceOptions& options) {
  std::vector<TensorDeviation> result;
  if (stored.sequences.size() != made.sequences.size())
    return {{name, "all", "sequences", 0, 0, false,
             "stored " + std::to_string(stored.sequences.size()) + ", made " + std::to_string(made.sequences.size())}};
  for (std::size_t i = 0; i < stored.sequences.size(); ++i)
    for (TensorDeviation& deviation :
         compare_sequence(name, std::to_string(i), stored.sequences[i], made.sequences[i], options))
      result.push_back(std::move(deviation));
  return result;
}

Reproduction reproduce(const PluginHost& host, const fs::path& directory, const ReproduceOptions& options) {
  std::error_code unreadable;
  if (!fs::exists(directory / kManifestFile, unreadable) || !fs::exists(directory / kExperimentFile, unreadable))
    throw InputError("'" + directory.string() + "' is no run directory; expected one that 'whence run' made, with " +
                     kManifestFile + " and " + kExperimentFile);
  const Json manifest = read_run_manifest(directory);
  Experiment experiment = parse_experiment(load_yaml(directory / kExperimentFile), directory);
  if (!experiment.plugin_paths.empty() && options.listener.notice)
    options.listener.notice("plugins.paths of the run are not searched; name folders you trust with --plugin-path");
  if (options.model) experiment.model_path = find_model(*options.model, fs::current_path(), {"--model", 0, 0});
  if (options.memory_bytes) experiment.memory_bytes = *options.memory_bytes;
  check_experiment(host.catalogue(), experiment);
  std::map<std::string, AttributionOutput> stored;
  for (const AttributionSpec& spec : experiment.attributions) {
    const fs::path file = directory / result_file(spec.name);
    stored[spec.name] = from_result_json(read_file(file), file.string());
  }
  const std::vector<NamedContext> stored_contexts = read_contexts(experiment, directory);

  Reproduction reproduction;
  require_model(experiment.model_path);
  reproduction.changes = changed_model_files(manifest, experiment.model_path);
  if (!reproduction.changes.empty() && !options.allow_changed) {
    std::string text = experiment.model_path + ": is not the checkpoint of the run";
    for (const std::string& line : reproduction.changes) text += "; " + line;
    throw DisagreementError(text + "; --allow-changed compares all the same");
  }
  for (auto& lines : {changed_plugins(manifest, host.catalogue()), changed_files(manifest, directory)})
    reproduction.changes.insert(reproduction.changes.end(), lines.begin(), lines.end());

  const ComputedRun run = compute(host, experiment, options.listener);
  const auto add = [&](std::vector<TensorDeviation> deviations) {
    for (TensorDeviation& deviation : deviations) {
      reproduction.agrees = reproduction.agrees && deviation.agrees;
      reproduction.tensors.push_back(std::move(deviation));
    }
  };
  for (const NamedOutput& made : run.outputs)
    add(compare(made.spec.name, stored[made.spec.name], made.output, options));
  for (std::size_t i = 0; i < run.contexts.size(); ++i)
    add(compare_contexts(run.contexts[i].id, stored_contexts[i].result, run.contexts[i].result, options));
  return reproduction;
}

}  // namespace whence::host
