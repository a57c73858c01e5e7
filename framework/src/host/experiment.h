#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "host/attribution_spec.h"
#include "host/chat.h"
#include "host/context_spec.h"
#include "host/contrast_text.h"
#include "host/evaluation_spec.h"
#include "host/explained.h"
#include "whence/generation.h"
#include "whence/value.h"

namespace whence::host {

/// One text to attribute.
struct InputText {
  std::string id;                        ///< unique in the run; default: its index
  std::string text;                      ///< prompt, or source of an encoder-decoder model
  Value messages;                        ///< a chat in place of the text: a list of {role, content}; null: none
  std::optional<std::string> generated;  ///< of a chat the answer; else the full forced text (decoder-only: starts with
                                         ///< the prompt); absent: generate
  std::optional<std::int64_t> start,
      end;                         ///< explained positions [start, end) of the target; negative counts from the end
  std::string src_lang, tgt_lang;  ///< languages as a multilingual checkpoint writes them; empty: the checkpoint's own
  std::optional<ContrastText> contrast;  ///< what its explained tokens are compared with
  std::optional<ExplainChoice> explain;  ///< what of them is explained as one; absent: every step by itself
  Mark where;

  bool operator==(const InputText& other) const;  ///< `where` aside
};

/// One rendering of every attribution.
struct OutputSpec {
  Choice renderer;
  std::string file;  ///< file name in the run directory, "{name}" stands for the attribution; empty: standard output

  bool operator==(const OutputSpec&) const = default;
};

/// An experiment file, checked for shape but not yet against plugins. The schema is docs/experiment-yaml.md.
struct Experiment {
  std::string name = "whence";
  std::filesystem::path file;  ///< empty when it was made by the command line
  std::string model_path;
  Mark model_where;
  std::optional<std::string> model_plugin;  ///< absent: the one that recognises the checkpoint
  Mark model_plugin_where;
  std::string dtype = "float32";
  std::string weights = "auto";  ///< or "packed", "unpacked"
  std::vector<InputText> inputs;
  std::optional<std::filesystem::path>
      input_file;  ///< where the inputs were read from, if not from the experiment itself
  ChatOptions chat;
  GenerationConfig generation;
  std::vector<AttributionSpec> attributions;
  std::optional<ContextSpec> context;  ///< in place of attributions; then `inputs` are empty, and these are the texts
  std::vector<ContextInput> context_inputs;
  std::vector<OutputSpec> outputs;
  std::optional<EvaluationSpec> evaluation;
  std::int64_t batch_size = 8;
  bool attribute_target = false;  ///< encoder-decoder only
  bool eos_baseline = false;
  std::uint64_t seed = 0;
  int threads = 0;                ///< 0: libtorch's default
  std::int64_t memory_bytes = 0;  ///< 0: a share of what is free
  std::vector<std::filesystem::path> plugin_paths;
  std::filesystem::path output_dir = "runs";  ///< parent of run directories
};

/// Throws ConfigError/UnknownName with file:line:column, InputError for the file of inputs; relative paths are relative
/// to the experiment's folder. Folders of plugins must exist.
Experiment load_experiment(const std::filesystem::path& path);
/// As `load_experiment`, but for a document that may name plugin folders of another machine.
Experiment parse_experiment(const Value& document, const std::filesystem::path& base);
/// The experiment with every default written out, as stored in a run directory: parses to an equal experiment.
Value resolved(const Experiment& experiment);

/// Generation options as `read_generation_options` takes them; `eos` and `stop` are short for two of them.
/// How messages are written as text; relative paths are relative to `base`.
ChatOptions parse_chat(const Value& value, const std::filesystem::path& base);
/// The messages of a text: one of the user's, behind one of the system's unless that is empty.
Value user_turn(const std::string& text, const std::string& system, const Mark& where);
GenerationConfig parse_generation(const Value& value);
/// How a model computes, and how it holds its weights.
std::string parse_dtype(const Value& value);
std::string parse_weights(const Value& value);
/// A number of bytes, or text such as "2 GiB".
std::int64_t parse_bytes(const Value& value);
/// Absolute path of a checkpoint: "~" is the home folder; what does not lie in `base` and is a bare name is looked for
/// in the folders of WHENCE_MODELS (colon separated). A path that exists nowhere comes back as if it lay in `base`.
/// Throws ConfigError at `where` for an empty path.
std::string find_model(const std::string& path, const std::filesystem::path& base, const Mark& where = {});

/// Texts of a file: one per line, or one JSON object per line when its name ends in ".jsonl". `fields` maps text,
/// generated, id, start and end to the members that hold them. Throws InputError with file:line.
std::vector<InputText> read_inputs(const std::filesystem::path& file, const Value& fields);
/// Gives every input without an id its index and throws ConfigError when two share one.
void name_inputs(std::vector<InputText>& inputs);

}  // namespace whence::host
