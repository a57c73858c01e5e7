#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "host/aggregation.h"
#include "host/attribute.h"
#include "host/experiment.h"
#include "host/model_loading.h"
#include "whence/context_attribution.h"
#include "whence/renderer.h"

namespace whence::host {

/// Whom a run talks to; every member may be empty.
struct RunListener {
  /// Called when a long phase begins; what it returns is told how far the phase has come.
  std::function<Progress(const std::string& label)> phase;
  Notice notice, warn;
};

/// The result of one attribution of an experiment, not aggregated.
struct NamedOutput {
  AttributionSpec spec;
  AttributionOutput output;
};

/// The context attribution of one text of an experiment.
struct NamedContext {
  std::string id;
  ContextAttribution result;
};

/// A loaded model and the texts of an experiment, ready to be attributed.
struct PreparedRun {
  LoadedModel loaded;
  std::vector<PreparedText> texts;
  double load_seconds = 0, generation_seconds = 0;
};

/// An experiment that has been computed in this process.
struct ComputedRun : PreparedRun {
  std::vector<NamedOutput> outputs;
  std::vector<NamedContext> contexts;
  double attribution_seconds = 0;
};

/// What the attributions of an experiment will take, by their names.
struct RunPlan : PreparedRun {
  std::vector<std::pair<std::string, AttributionPlan>> attributions;
};

/// Checks everything that can be checked without opening a library or a checkpoint: names, parameters, output files.
void check_experiment(const Catalogue& catalogue, const Experiment& experiment);

/// The model of an experiment.
LoadedModel load_model(const PluginHost& host, const Experiment& experiment);

/// Opens every plugin, loads the model unless `loaded` is it, prepares the texts and makes every attribution; writes
/// nothing.
ComputedRun compute(const PluginHost& host, const Experiment& experiment, const RunListener& listener = {},
                    LoadedModel loaded = {});

/// As `compute`, up to the attributions, which are only planned. Texts are generated, since what is to be done depends
/// on them. Throws ConfigError for context, where what is attributed depends on numbers, too.
RunPlan plan_run(const PluginHost& host, const Experiment& experiment, const RunListener& listener = {});

struct RunResult {
  std::filesystem::path directory;
  bool reused = false;  ///< the outputs were stored by an earlier run; nothing was computed
  std::vector<NamedOutput> outputs;
  std::vector<NamedContext> contexts;
  std::optional<ModelInfo> model;  ///< that computed them
};

/// Runs an experiment into `<output_dir>/<name>-<key>`. The key stands for the experiment, the model, the plugins and
/// the version of whence, so a run that exists is not made again unless `force`. Throws what its parts throw: what is
/// wrong with plugins or the output folder before long work, InputError for a stored run that was changed. When a
/// renderer fails, the results are stored first.
RunResult run_experiment(const PluginHost& host, const Experiment& experiment, bool force,
                         const RunListener& listener = {});

/// Hash of everything the files of a run depend on, 64 hexadecimal digits; `model_files` are those the model is read
/// from.
std::string run_key(const Catalogue& catalogue, const Experiment& experiment,
                    const std::vector<std::string>& model_files);

/// Finds a result among those of an experiment, by its name; `outputs` outlive what is returned.
FindResult find_among(const std::vector<NamedOutput>& outputs);

/// One rendering of one output. Errors name the place of the choice, the attribution and the renderer.
std::string render(const PluginHost& host, const OutputSpec& output, const NamedOutput& result, const Canvas& canvas,
                   const FindResult& find);

}  // namespace whence::host
