// Makes attributions for benchmarks: one request per line on standard input, one answer per line on standard output.
// A request is an experiment document (docs/experiment-yaml.md) with one attribution, written as one line of JSON; see
// README.md for the members of an answer. A model stays loaded for as long as requests name it in the same way.
#include <ATen/Parallel.h>
#include <malloc.h>

#include <fstream>
#include <map>

#include "answers.h"
#include "host/run.h"
#include "host/search_path.h"
#include "host/yaml.h"
#include "stopwatch.h"

namespace {

using nlohmann::json;
using whence::host::Experiment;
using whence::host::LoadedModel;
using whence::host::PluginHost;

/// Bytes that a line of /proc/self/status gives in kB.
std::int64_t memory(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(key + ":")) return std::stoll(line.substr(key.size() + 1)) * 1024;
  throw whence::InputError("/proc/self/status: has no " + key + "; the memory of a process is measured on Linux only");
}

/// Gives freed memory back, so that the peak counts from what is really held; returns that.
std::int64_t start_memory_peak() {
  malloc_trim(0);
  std::ofstream("/proc/self/clear_refs") << "5";  // the peak starts anew
  return memory("VmRSS");
}

json rows_of(const at::Tensor& scores) {
  const at::Tensor rows = scores.to(at::kFloat).contiguous();
  json list = json::array();
  for (std::int64_t row = 0; row < rows.size(0); ++row) {
    const float* first = rows.const_data_ptr<float>() + row * rows.size(1);
    list.push_back(std::vector<float>(first, first + rows.size(1)));  // NaN becomes null
  }
  return list;
}

json sequence_of(const whence::SequenceAttribution& sequence) {
  json ids = json::array(), step_scores = json::object();
  for (const whence::Token& token : sequence.target) ids.push_back(token.id);
  for (const auto& [name, scores] : sequence.step_scores) step_scores[name] = rows_of(scores.unsqueeze(0)).front();
  if (!sequence.granularity.empty())
    throw whence::ConfigError("the result still has the dimension '" + sequence.granularity.back() +
                              "'; name an aggregation that leaves one score for each token");
  return {{"ids", std::move(ids)},
          {"start", sequence.steps.start},
          {"end", sequence.steps.end},
          {"scores", rows_of(sequence.target_attributions)},
          {"step_scores", std::move(step_scores)}};
}

json cost_of(const whence::AttributionOutput& output) {
  json cost = json::object();
  for (const auto& [key, value] : output.info)
    if (key == "cost")
      for (const auto& [name, number] : value.as_map()) cost[name] = number.as_int();
  return cost;
}

/// Answers one request; models stay in `models`, by what was said about them.
json answer(const PluginHost& host, const std::string& request, std::map<std::string, LoadedModel>& models) {
  const whence::Value document = whence::host::parse_yaml(request, "request");
  const Experiment experiment = whence::host::parse_experiment(document, std::filesystem::current_path());
  whence::host::check_experiment(host.catalogue(), experiment);
  if (experiment.attributions.size() != 1)
    throw whence::ConfigError("request: found " + std::to_string(experiment.attributions.size()) +
                              " attributions; expected one");
  if (experiment.threads > 0) at::set_num_threads(experiment.threads);

  LoadedModel& loaded = models[whence::host::to_yaml(document.at("model"))];
  if (!loaded.model) loaded = load_model(host, experiment);
  const whence::Work work_before = loaded.model->work();
  const std::int64_t held = start_memory_peak();
  const whence::bench::Stopwatch watch;
  whence::host::ComputedRun run = compute(host, experiment, {}, std::move(loaded));
  const whence::bench::Seconds seconds = watch.elapsed();
  const std::int64_t peak = memory("VmHWM");
  loaded = std::move(run.loaded);

  const whence::host::NamedOutput& result = run.outputs.front();
  json sequences = json::array();
  const whence::AttributionOutput token_level = aggregated(host, result.output, result.spec.aggregation);
  for (const whence::SequenceAttribution& sequence : token_level.sequences) sequences.push_back(sequence_of(sequence));
  return {{"seconds", seconds.wall},
          {"cpu_seconds", seconds.processor},
          {"held_bytes", held},
          {"peak_bytes", peak},
          {"work", whence::bench::to_json(work_before, loaded.model->work())},
          {"cost", cost_of(result.output)},
          {"model", whence::bench::to_json(loaded.model->info())},
          {"sequences", std::move(sequences)}};
}

}  // namespace

int main() {
  const whence::host::Catalogue catalogue(whence::host::plugin_search_path({}, {}));
  const PluginHost host(catalogue);
  std::map<std::string, LoadedModel> models;
  whence::bench::answer_requests([&](const std::string& request) { return answer(host, request, models); });
}
