#include "host/run.h"

#include <chrono>

#include "host/checksum.h"
#include "host/run_directory.h"
#include "host/run_manifest.h"
#include "host/yaml.h"
#include "whence/result_json.h"

namespace whence::host {
namespace {

namespace fs = std::filesystem;

/// Seconds since it was made or last asked.
class Stopwatch {
 public:
  double lap() {
    const auto now = std::chrono::steady_clock::now();
    const double seconds = std::chrono::duration<double>(now - began_).count();
    began_ = now;
    return seconds;
  }

 private:
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

std::string file_of(const OutputSpec& output, const std::string& attribution) {
  std::string file = output.file;
  for (std::size_t at = 0; (at = file.find("{name}", at)) != std::string::npos; at += attribution.size())
    file.replace(at, 6, attribution);
  return file;
}

void check_output_files(const Experiment& experiment) {
  std::map<std::string, std::string> taken{{kExperimentFile, "the experiment"},
                                           {kManifestFile, "the manifest"},
                                           {kCrateFile, "the description of the folder"}};
  for (const OutputSpec& output : experiment.outputs) {
    if (output.file.empty()) continue;
    for (const AttributionSpec& spec : experiment.attributions)
      if (const auto [entry, added] =
              taken.emplace(file_of(output, spec.name), "renderer '" + output.renderer.name + "'");
          !added)
        throw ConfigError(output.renderer.where, "the file '" + entry->first + "' would be written twice, by " +
                                                     entry->second + " and by renderer '" + output.renderer.name +
                                                     "'; give one another 'file'");
  }
}

/// Nothing about where and how fast a run is made: only what its numbers and files depend on.
Experiment essence(Experiment experiment) {
  experiment.output_dir.clear();
  experiment.plugin_paths.clear();
  experiment.threads = 0;
  experiment.memory_bytes = 0;
  return experiment;
}

std::vector<NamedOutput> stored_outputs(const Experiment& experiment, const fs::path& directory) {
  std::vector<NamedOutput> outputs;
  for (const AttributionSpec& spec : experiment.attributions) {
    const fs::path file = directory / result_file(spec.name);
    outputs.push_back({spec, from_result_json(read_file(file), file.string())});
  }
  return outputs;
}

}  // namespace

void check_experiment(const Catalogue& catalogue, const Experiment& experiment) {
  if (experiment.model_plugin) check_choice(catalogue, PluginKind::model, {*experiment.model_plugin, {}, {}});
  for (const AttributionSpec& spec : experiment.attributions) check_attribution(catalogue, spec);
  for (const OutputSpec& output : experiment.outputs) check_choice(catalogue, PluginKind::renderer, output.renderer);
  check_output_files(experiment);
}

ComputedRun compute(const PluginHost& host, const Experiment& experiment, const RunListener& listener) {
  const auto phase = [&](const std::string& label) { return listener.phase ? listener.phase(label) : Progress(); };
  ComputedRun run;
  Stopwatch watch;
  run.loaded = load_model(host, experiment.model_path, experiment.model_plugin, experiment.dtype);
  run.load_seconds = watch.lap();
  const Model& model = *run.loaded.model;
  run.texts =
      prepare_sequences(model, experiment.inputs, experiment.generation, {experiment.batch_size, phase("generating")});
  run.generation_seconds = watch.lap();
  for (const AttributionSpec& spec : experiment.attributions) {
    AttributeOptions options{experiment.batch_size,   experiment.attribute_target,
                             experiment.eos_baseline, experiment.memory_bytes,
                             phase(spec.name),        listener.warn};
    NamedOutput result{spec, attribute(model, host, run.texts, spec, options)};
    for (auto& [key, value] : result.output.info)
      if (key == "generation_args") value = resolved(experiment).at("generation");
    run.outputs.push_back(std::move(result));
  }
  run.attribution_seconds = watch.lap();
  return run;
}

std::string run_key(const Catalogue& catalogue, const Experiment& experiment) {
  std::string text = to_yaml(resolved(essence(experiment))) + WHENCE_VERSION + "\n" + WHENCE_BUILD_ID + "\n";
  for (const fs::path& file : checkpoint_files(experiment.model_path))
    text += file.filename().string() + " " + sha256_of_file(file) + "\n";
  for (const fs::path& file : architecture_files())
    text += file.filename().string() + " " + sha256_of_file(file) + "\n";
  const auto add = [&](PluginKind kind, const std::string& name) {
    text += name + " " + catalogue.find(kind, name).sha256 + "\n";
  };
  // Which model plugin recognises the checkpoint is known only after opening libraries, so all of them count.
  for (const PluginInfo& plugin : catalogue.plugins())
    if (plugin.kind == PluginKind::model && plugin.shadowed_by.empty() &&
        (!experiment.model_plugin || plugin.name == *experiment.model_plugin))
      text += plugin.name + " " + plugin.sha256 + "\n";
  for (const AttributionSpec& spec : experiment.attributions) {
    add(PluginKind::method, spec.method.name);
    add(PluginKind::step_function, spec.attributed_function.name);
    for (const Choice& score : spec.step_scores) add(PluginKind::step_function, score.name);
  }
  return sha256_of_text(text);
}

std::string render(const PluginHost& host, const OutputSpec& output, const NamedOutput& result, const Canvas& canvas) {
  return host.make_renderer(output.renderer)->render(aggregated(host, result.output, result.spec.aggregation), canvas);
}

RunResult run_experiment(const PluginHost& host, const Experiment& experiment, bool force,
                         const RunListener& listener) {
  check_experiment(host.catalogue(), experiment);
  if (!fs::exists(experiment.model_path))
    load_model(host, experiment.model_path, experiment.model_plugin, experiment.dtype);
  const std::string key = run_key(host.catalogue(), experiment);
  constexpr std::size_t kShownKey = 8;
  RunResult result;
  result.directory = experiment.output_dir / (experiment.name + "-" + key.substr(0, kShownKey));
  if (!force && fs::exists(result.directory / kManifestFile)) {
    result.reused = true;
    result.outputs = stored_outputs(experiment, result.directory);
    return result;
  }
  ComputedRun run = compute(host, experiment, listener);
  std::map<std::string, std::string> files;
  files[kExperimentFile] = to_yaml(resolved(experiment));
  for (const NamedOutput& output : run.outputs) {
    files[result_file(output.spec.name)] = to_result_json(output.output);
    for (const OutputSpec& spec : experiment.outputs)
      if (!spec.file.empty()) files[file_of(spec, output.spec.name)] = render(host, spec, output, Canvas{});
  }
  StagedDirectory staged(result.directory);
  for (const auto& [name, bytes] : files) staged.write(name, bytes);
  staged.write(kManifestFile, manifest_json(host, experiment, key, run, files));
  staged.write(kCrateFile, crate_json(experiment, run, files));
  staged.publish();
  result.outputs = std::move(run.outputs);
  return result;
}

}  // namespace whence::host
