#include "host/context_run.h"

#include "host/context.h"
#include "host/context_rendering.h"
#include "host/forced_contrast.h"
#include "host/run_directory.h"
#include "host/run_manifest.h"
#include "whence/context_json.h"

namespace whence::host {

void check_contexts(const Catalogue& catalogue, const Experiment& experiment) {
  for (const ContextInput& input : experiment.context_inputs)
    check_context(catalogue, input, *experiment.context, /*can_ask=*/false);
}

void try_context_plugins(const PluginHost& host, const Experiment& experiment) {
  try_plugins(host, with_sensitivity(*experiment.context));
  for (const OutputSpec& output : experiment.outputs) check_draws_context(host, output.renderer);
}

std::vector<NamedContext> attribute_contexts(const Model& model, const PluginHost& host, const Experiment& experiment,
                                             const RunListener& listener, const FindAligner& find_aligner) {
  ContextOptions options{.batch_size = experiment.batch_size,
                         .memory_bytes = experiment.memory_bytes,
                         .seed = experiment.seed,
                         .eos_baseline = experiment.eos_baseline,
                         .listener = listener,
                         .find_aligner = find_aligner};
  std::vector<NamedContext> results;
  for (const ContextInput& input : experiment.context_inputs)
    results.push_back(
        {input.id, attribute_context(model, host, input, *experiment.context, experiment.generation, options)});
  return results;
}

std::vector<NamedContext> read_contexts(const Experiment& experiment, const std::filesystem::path& directory) {
  std::vector<NamedContext> results;
  for (const ContextInput& input : experiment.context_inputs) {
    const std::filesystem::path file = directory / result_file(input.id);
    results.push_back({input.id, from_context_json(read_file(file), file.string())});
  }
  return results;
}

AttributionSpec with_sensitivity(const ContextSpec& spec) {
  AttributionSpec all = spec.attribution;
  all.step_scores = {spec.sensitivity};
  // By itself it would refuse; its cues come from passes over both texts.
  return needs_forced_contrast(all.attributed_function) ? with_forced_contrast(std::move(all), true) : all;
}

}  // namespace whence::host
