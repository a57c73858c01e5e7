#include "host/run.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <set>

#include "host/aligners.h"
#include "host/checksum.h"
#include "host/context_rendering.h"
#include "host/context_run.h"
#include "host/evaluation.h"
#include "host/generation_record.h"
#include "host/guard.h"
#include "host/run_directory.h"
#include "host/run_manifest.h"
#include "host/yaml.h"
#include "whence/context_json.h"
#include "whence/draws_granularity.h"
#include "whence/generation_options.h"
#include "whence/paired_aggregator.h"
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

/// Of the attributions, or of the texts whose context is attributed.
std::vector<std::string> result_names(const Experiment& experiment) {
  std::vector<std::string> names;
  for (const AttributionSpec& spec : experiment.attributions) names.push_back(spec.name);
  for (const ContextInput& input : experiment.context_inputs) names.push_back(input.id);
  return names;
}

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
  constexpr std::size_t kMostLetters = 200;
  for (const OutputSpec& output : experiment.outputs) {
    if (output.file.empty()) continue;
    for (const std::string& name : result_names(experiment)) {
      if (const std::size_t letters = file_of(output, name).size(); letters > kMostLetters)
        throw ConfigError(output.renderer.where, "'file' becomes a name of " + std::to_string(letters) +
                                                     " letters for attribution '" + name + "'; expected at most " +
                                                     std::to_string(kMostLetters));
      if (const auto [entry, added] = taken.emplace(file_of(output, name), "renderer '" + output.renderer.name + "'");
          !added)
        throw ConfigError(output.renderer.where, "the file '" + entry->first + "' would be written twice, by " +
                                                     entry->second + " and by renderer '" + output.renderer.name +
                                                     "'; give one another 'file'");
    }
  }
}

/// Nothing about where and how fast a run is made: only what its numbers and files depend on.
Experiment essence(Experiment experiment) {
  experiment.output_dir.clear();
  experiment.plugin_paths.clear();
  experiment.threads = 0;
  experiment.memory_bytes = 0;
  experiment.evaluation.reset();
  return experiment;
}

/// The pairs that automatic alignments came to, in their place, so that a run can be made again without an aligner.
void keep_alignments(const std::vector<PreparedText>& texts, Experiment& experiment) {
  for (std::size_t i = 0; i < texts.size(); ++i) {
    std::optional<ContrastText>& contrast = experiment.inputs[i].contrast;
    if (!contrast || !contrast->alignment || contrast->alignment->way == AlignmentWay::right) continue;
    AlignmentChoice made{.way = AlignmentWay::pairs};
    std::int64_t step = texts[i].sequence.steps.start;
    for (const std::int64_t position : texts[i].sequence.contrast->positions) made.pairs.push_back({step++, position});
    contrast->alignment = std::move(made);
  }
}

/// Throws InputError unless a run is still what it wrote.
void require_unchanged(const Experiment& experiment, const fs::path& directory) {
  std::vector<std::string> changes = changed_files(read_run_manifest(directory), directory);
  // The manifest doesn't list what could not be rendered.
  std::error_code unreadable;
  for (const OutputSpec& output : experiment.outputs)
    for (const std::string& name : result_names(experiment))
      if (changes.empty() && !output.file.empty() && !fs::exists(directory / file_of(output, name), unreadable))
        changes.push_back("stored " + file_of(output, name) + ": is missing");
  if (!changes.empty())
    throw InputError(directory.string() + ": is not what the run wrote: " + changes.front() +
                     "; --force makes it again");
}

std::vector<NamedOutput> stored_outputs(const Experiment& experiment, const fs::path& directory) {
  std::vector<NamedOutput> outputs;
  for (const AttributionSpec& spec : experiment.attributions) {
    const fs::path file = directory / result_file(spec.name);
    outputs.push_back({spec, from_result_json(read_file(file), file.string())});
  }
  return outputs;
}

std::string unknown_partner(const std::string& name) {
  return "'" + name + "' is none of the attributions of this experiment; name one of them";
}

/// What an aggregator of pairs names must be made by the same experiment.
void check_partners(const PluginHost& host, const Experiment& experiment, const AttributionSpec& spec) {
  for (const Choice& choice : spec.aggregation.value_or(std::vector<Choice>{})) {
    const auto aggregator = host.make_aggregator(choice);
    const auto* power = aggregator->query(PairedAggregator::kCapability);
    if (!power) continue;
    const std::string partner = static_cast<const PairedAggregator*>(power)->partner();
    if (std::none_of(experiment.attributions.begin(), experiment.attributions.end(),
                     [&](const AttributionSpec& other) { return other.name == partner; }))
      throw ConfigError(choice.where,
                        plugin_title(PluginKind::aggregator, choice.name) + ": " + unknown_partner(partner));
  }
}

/// So that one that cannot be used is found before the model is loaded.
void try_every_plugin(const PluginHost& host, const Experiment& experiment) {
  if (experiment.context) return try_context_plugins(host, experiment);
  for (const AttributionSpec& spec : experiment.attributions) {
    try_plugins(host, spec);
    check_partners(host, experiment, spec);
  }
  for (const OutputSpec& output : experiment.outputs) host.make_renderer(output.renderer);
}

Progress phase(const RunListener& listener, const std::string& label) {
  return listener.phase ? listener.phase(label) : Progress();
}

AttributeOptions attribute_options(const Experiment& experiment, Progress progress = {}, Notice warn = {}) {
  return {experiment.batch_size, experiment.attribute_target, experiment.eos_baseline, experiment.memory_bytes,
          experiment.seed,       std::move(progress),         std::move(warn)};
}

PreparedRun prepare(const PluginHost& host, const Experiment& experiment, const RunListener& listener,
                    LoadedModel loaded) {
  if (!loaded.model) try_every_plugin(host, experiment);
  PreparedRun run;
  run.loaded = loaded.model ? std::move(loaded) : load_model(host, experiment);
  run.load_seconds = run.loaded.seconds;
  if (listener.warn) warn_of_checkpoint(run.loaded, experiment.model_path, listener.warn);
  for (const AttributionSpec& spec : experiment.attributions)
    require_served(*run.loaded.model, host, spec, attribute_options(experiment));
  if (experiment.context) return run;  // generates as it goes
  Stopwatch watch;
  run.texts = prepare_sequences(*run.loaded.model, experiment.inputs, experiment.generation,
                                {experiment.batch_size, phase(listener, "generating"), listener.warn, experiment.chat,
                                 Aligners(host, experiment, *run.loaded.model)});
  run.generation_seconds = watch.lap();
  return run;
}

/// The chosen chain; else none where the renderer draws all granularity dims, and the default one otherwise.
std::optional<std::vector<Choice>> chain_of(const Renderer& renderer, const NamedOutput& result) {
  if (result.spec.aggregation || result.output.sequences.empty()) return result.spec.aggregation;
  const std::vector<std::string>& dims = result.output.sequences.front().granularity;
  const bool drawn =
      renderer.query(kDrawsGranularity) && !dims.empty() && std::find(dims.begin(), dims.end(), "hidden") == dims.end();
  return drawn ? std::optional<std::vector<Choice>>(std::in_place) : std::nullopt;
}

}  // namespace

void check_experiment(const Catalogue& catalogue, const Experiment& experiment) {
  if (experiment.model_plugin)
    check_choice(catalogue, PluginKind::model, {*experiment.model_plugin, {}, experiment.model_plugin_where});
  for (const AttributionSpec& spec : experiment.attributions) check_attribution(catalogue, spec);
  for (const OutputSpec& output : experiment.outputs) check_choice(catalogue, PluginKind::renderer, output.renderer);
  if (experiment.evaluation) check_evaluation(catalogue, *experiment.evaluation);
  check_output_files(experiment);
  for (const InputText& input : experiment.inputs) check_input(input);
  check_contrasts(catalogue, experiment);
  if (experiment.context) check_contexts(catalogue, experiment);
  check_explained(catalogue, experiment);
}

LoadedModel load_model(const PluginHost& host, const Experiment& experiment) {
  return load_model(host, experiment.model_path, experiment.model_plugin,
                    {experiment.dtype, experiment.weights, experiment.memory_bytes});
}

ComputedRun compute(const PluginHost& host, const Experiment& experiment, const RunListener& listener,
                    LoadedModel loaded) {
  ComputedRun run{prepare(host, experiment, listener, std::move(loaded))};
  Stopwatch watch;
  for (const AttributionSpec& spec : experiment.attributions) {
    const AttributeOptions options = attribute_options(experiment, phase(listener, spec.name), listener.warn);
    NamedOutput result{spec, attribute(*run.loaded.model, host, run.texts, spec, options)};
    record_generation(experiment.generation, run.loaded.model->info(), result.output);
    run.outputs.push_back(std::move(result));
  }
  if (experiment.context)
    run.contexts = attribute_contexts(*run.loaded.model, host, experiment, listener,
                                      Aligners(host, experiment, *run.loaded.model));
  run.attribution_seconds = watch.lap();
  return run;
}

RunPlan plan_run(const PluginHost& host, const Experiment& experiment, const RunListener& listener) {
  if (experiment.context)
    throw ConfigError("a run with 'context' cannot be planned: which tokens are attributed is known only from numbers");
  RunPlan plan{prepare(host, experiment, listener, {})};
  for (const AttributionSpec& spec : experiment.attributions)
    plan.attributions.emplace_back(
        spec.name, plan_attribution(*plan.loaded.model, host, plan.texts, spec, attribute_options(experiment)));
  return plan;
}

std::string run_key(const Catalogue& catalogue, const Experiment& experiment,
                    const std::vector<std::string>& model_files) {
  std::string text = to_yaml(resolved(essence(experiment))) + WHENCE_VERSION + "\n" + WHENCE_BUILD_ID + "\n";
  for (const fs::path file : model_files) text += file.filename().string() + " " + sha256_of_file(file) + "\n";
  for (const fs::path& file : aligner_files(experiment))
    text += "aligner " + file.filename().string() + " " + sha256_of_file(file) + "\n";
  for (const fs::path& file : architecture_files())
    text += file.filename().string() + " " + sha256_of_file(file) + "\n";
  const auto add = [&](PluginKind kind, const std::string& name) {
    text += name + " " + catalogue.find(kind, name).sha256 + "\n";
  };
  // Where the host chooses, what it chooses is known only after long work, so every plugin of the kind counts.
  const auto add_all = [&](PluginKind kind) {
    for (const PluginInfo& plugin : catalogue.plugins())
      if (plugin.kind == kind && plugin.shadowed_by.empty()) text += plugin.name + " " + plugin.sha256 + "\n";
  };
  if (experiment.model_plugin)
    add(PluginKind::model, *experiment.model_plugin);
  else
    add_all(PluginKind::model);
  std::vector<AttributionSpec> specs = experiment.attributions;
  if (experiment.context) specs.push_back(with_sensitivity(*experiment.context));
  for (const AttributionSpec& spec : specs) {
    add(PluginKind::method, spec.method.name);
    add(PluginKind::step_function, spec.attributed_function.name);
    for (const Choice& score : spec.step_scores) add(PluginKind::step_function, score.name);
    if (!spec.aggregation) add_all(PluginKind::aggregator);
    for (const Choice& choice : spec.aggregation.value_or(std::vector<Choice>{}))
      add(PluginKind::aggregator, choice.name);
  }
  for (const OutputSpec& output : experiment.outputs) add(PluginKind::renderer, output.renderer.name);
  return sha256_of_text(text);
}

FindResult find_among(const std::vector<NamedOutput>& outputs) {
  return [&outputs](const std::string& name) {
    for (const NamedOutput& output : outputs)
      if (output.spec.name == name) return output.output;
    throw ConfigError(unknown_partner(name));
  };
}

std::string render(const PluginHost& host, const OutputSpec& output, const NamedOutput& result, const Canvas& canvas,
                   const FindResult& find) {
  const auto renderer = host.make_renderer(output.renderer);
  const AttributionOutput shown = aggregated(host, result.output, chain_of(*renderer, result), find);
  return with_place(output.renderer.where,
                    "attribution '" + result.spec.name + "', renderer '" + output.renderer.name + "'",
                    [&] { return renderer->render(shown, canvas); });
}

RunResult run_experiment(const PluginHost& host, const Experiment& experiment, bool force,
                         const RunListener& listener) {
  check_experiment(host.catalogue(), experiment);
  require_model(experiment.model_path, experiment.model_where);
  // Which files of a folder belong to the checkpoint is known to the plugin that reads it.
  LoadedModel loaded;
  std::error_code failure;
  if (fs::is_directory(experiment.model_path, failure)) {
    try_every_plugin(host, experiment);
    loaded = load_model(host, experiment);
  }
  const std::string key =
      run_key(host.catalogue(), experiment,
              loaded.model ? loaded.model->info().files : std::vector<std::string>{experiment.model_path});
  constexpr std::size_t kShownKey = 8;
  RunResult result;
  result.directory = experiment.output_dir / (experiment.name + "-" + key.substr(0, kShownKey));
  if (!force && fs::exists(result.directory / kManifestFile, failure)) {
    result.reused = true;
    require_unchanged(experiment, result.directory);
    result.outputs = stored_outputs(experiment, result.directory);
    result.contexts = read_contexts(experiment, result.directory);
    return result;
  }
  StagedDirectory staged(result.directory);
  Experiment stored = experiment;  // with the time that templates saw, so that it can be made again
  const auto is_chat = [](const InputText& input) { return !input.messages.is_null(); };
  if (stored.chat.now.empty() && std::any_of(stored.inputs.begin(), stored.inputs.end(), is_chat))
    stored.chat.now = chat_time();
  ComputedRun run = compute(host, stored, listener, std::move(loaded));
  keep_alignments(run.texts, stored);
  std::map<std::string, std::string> files;
  files[kExperimentFile] = to_yaml(resolved(stored));
  for (const NamedOutput& output : run.outputs) files[result_file(output.spec.name)] = to_result_json(output.output);
  for (const NamedContext& context : run.contexts) files[result_file(context.id)] = to_context_json(context.result);
  std::exception_ptr rendering_failure;
  try {
    for (const OutputSpec& spec : experiment.outputs) {
      if (spec.file.empty()) continue;
      for (const NamedOutput& output : run.outputs)
        files[file_of(spec, output.spec.name)] = render(host, spec, output, Canvas{}, find_among(run.outputs));
      for (const NamedContext& context : run.contexts)
        files[file_of(spec, context.id)] = render_context(host, spec, context.result, Canvas{});
    }
  } catch (const Error&) {
    rendering_failure = std::current_exception();
  }
  for (const auto& [name, bytes] : files) staged.write(name, bytes);
  staged.write(kManifestFile, manifest_json(host, experiment, key, run, files));
  staged.write(kCrateFile, crate_json(experiment, run, files));
  staged.publish();
  if (rendering_failure) {
    if (listener.notice) listener.notice("the results are stored in " + result.directory.string());
    std::rethrow_exception(rendering_failure);
  }
  result.model = run.loaded.model->info();
  result.outputs = std::move(run.outputs);
  result.contexts = std::move(run.contexts);
  return result;
}

}  // namespace whence::host
