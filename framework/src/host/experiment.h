#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "host/param_check.h"
#include "whence/generation.h"
#include "whence/span.h"
#include "whence/value.h"

namespace whence::host {

/// One text to attribute. `labels` name character ranges of the text (roles, passages); they become labels on positions.
struct InputText {
  std::string id;                        ///< unique in the run; default: its index
  std::string input;                     ///< prompt, or source of an encoder-decoder model
  std::optional<std::string> generated;  ///< full forced text (decoder-only: starts with the prompt); absent: generate
  std::optional<std::int64_t> start, end;  ///< explained positions [start, end) of the target; negative counts from the end
  Mark where;
};

/// One attribution of an experiment.
struct AttributionSpec {
  std::string name;             ///< file stem of its result; unique
  Choice method;
  Choice attributed_function;   ///< default: probability
  std::vector<Choice> step_scores;
  /// Chain for the rendered outputs; absent: the default of the result's granularity. Results keep full granularity.
  std::optional<std::vector<Choice>> aggregation;
};

/// One rendering of every attribution.
struct OutputSpec {
  Choice renderer;
  std::string file;  ///< file name in the run directory, "{name}" stands for the attribution; empty: standard output
};

/// An experiment file, checked for shape but not yet against plugins. The schema is docs/experiment-yaml.md.
struct Experiment {
  std::string name;
  std::filesystem::path file;  ///< empty when it was made by the command line
  std::string model_path;
  std::optional<std::string> model_plugin;  ///< absent: the one that recognises the checkpoint
  std::string dtype = "float32";
  std::vector<InputText> inputs;
  GenerationConfig generation;
  std::vector<AttributionSpec> attributions;
  std::vector<OutputSpec> outputs;
  std::int64_t batch_size = 8;
  bool attribute_target = false;  ///< encoder-decoder only
  bool eos_baseline = false;
  std::uint64_t seed = 0;
  int threads = 0;                ///< 0: libtorch's default
  std::int64_t memory_bytes = 0;  ///< 0: a share of what is free
  std::vector<std::filesystem::path> plugin_paths;
  std::filesystem::path output_dir;  ///< parent of run directories; default "runs"
};

/// Throws ConfigError/UnknownName with file:line:column; relative paths are relative to the experiment's folder.
Experiment load_experiment(const std::filesystem::path& path);
Experiment parse_experiment(const Value& document, const std::filesystem::path& base);
/// The experiment with every default written out, as stored in a run directory: parses to an equal experiment.
Value resolved(const Experiment& experiment);

}  // namespace whence::host
