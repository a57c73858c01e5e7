#pragma once

#include <functional>
#include <optional>
#include <string>

#include "host/context_spec.h"
#include "host/run.h"
#include "whence/attribution_output.h"
#include "whence/context_attribution.h"

namespace whence::host {

/// Asks a person something, in a line or more, and returns the line that is the answer; empty when nobody answers.
using AskUser = std::function<std::optional<std::string>(const std::string& question)>;

/// Is shown an attribution that the result is made of, with what it is of.
using ShowAttribution = std::function<void(const std::string& title, const AttributionOutput& output)>;

struct ContextOptions {
  std::int64_t batch_size = 8;    ///< texts that are generated and attributed at a time
  std::int64_t memory_bytes = 0;  ///< as AttributeOptions has it
  std::uint64_t seed = 0;
  bool eos_baseline = false;
  /// Phases: "output" where one is generated, "sensitivity", "contextless outputs" where the attributed function
  /// compares, and "cues". Its progress may throw to cancel: what was begun is undone, and the exception goes on.
  RunListener listener;
  AskUser ask;               ///< empty: there is nobody to ask
  ShowAttribution show;      ///< may be empty
  FindAligner find_aligner;  ///< for an alignment by states
};

/// Everything that can be found wrong before a model is read: names and parameters of plugins, templates, contexts that
/// are missing or unused, options that contradict each other or would have no effect. `can_ask`: there is somebody.
/// Throws ConfigError, UnknownName, InputError, PluginError. What is no error is said to `warn`.
void check_context(const Catalogue& catalogue, const ContextInput& input, const ContextSpec& spec, bool can_ask,
                   const Notice& warn = {});

/// Finds the tokens of the output that depend on context, and attributes each of them to the tokens and units of both
/// contexts. The output is generated unless it is given. No token may depend on context: then none is selected, and the
/// notice says so. `generation` is of the output and of what would have come without context. Checks what
/// `check_context` checks; throws what `prepare_sequences` and `attribute` throw, and InputError for an output that
/// does not fit its template, for another number of contextless next tokens than are selected, and where an output
/// context cannot be found and nobody can be asked.
ContextAttribution attribute_context(const Model& model, const PluginHost& host, const ContextInput& input,
                                     const ContextSpec& spec, const GenerationConfig& generation = {},
                                     const ContextOptions& options = {});

}  // namespace whence::host
