// Makes attributions for benchmarks: one request per line on standard input, one answer per line on standard output.
// A request is an experiment document (docs/experiment-yaml.md) with one attribution, written as one line of JSON; see
// README.md for the members of an answer. A model stays loaded for as long as requests name it in the same way.
#include <ATen/Parallel.h>
#include <malloc.h>

#include <chrono>
#include <ctime>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "host/run.h"
#include "host/search_path.h"
#include "host/yaml.h"

namespace {

using nlohmann::json;
using whence::Work;
using whence::host::Experiment;
using whence::host::LoadedModel;
using whence::host::PluginHost;

double processor_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

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

json facts_of(const whence::ModelInfo& info) {
  return {{"name", info.name},
          {"architecture", info.architecture},
          {"dtype", info.dtype},
          {"weights_format", info.weights_format},
          {"layers", info.layers},
          {"heads", info.heads},
          {"hidden", info.hidden},
          {"vocabulary", info.vocabulary},
          {"parameters", info.parameters},
          {"weight_bytes", info.weight_bytes},
          {"mapped_bytes", info.mapped_bytes}};
}

json difference(const Work& after, const Work& before) {
  return {{"forward_passes", after.forward_passes - before.forward_passes},
          {"backward_passes", after.backward_passes - before.backward_passes},
          {"forward_rows", after.forward_rows - before.forward_rows},
          {"head_rows", after.head_rows - before.head_rows},
          {"backward_rows", after.backward_rows - before.backward_rows}};
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
  if (!loaded.model) loaded = load_model(host, experiment.model_path, experiment.model_plugin, experiment.dtype);
  const Work work_before = loaded.model->work();
  const std::int64_t held = start_memory_peak();
  const auto began = std::chrono::steady_clock::now();
  const double began_processor = processor_seconds();
  whence::host::ComputedRun run = compute(host, experiment, {}, std::move(loaded));
  const double processor = processor_seconds() - began_processor;
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  const std::int64_t peak = memory("VmHWM");
  loaded = std::move(run.loaded);

  const whence::host::NamedOutput& result = run.outputs.front();
  json sequences = json::array();
  const whence::AttributionOutput token_level = aggregated(host, result.output, result.spec.aggregation);
  for (const whence::SequenceAttribution& sequence : token_level.sequences) sequences.push_back(sequence_of(sequence));
  return {{"seconds", seconds},
          {"cpu_seconds", processor},
          {"held_bytes", held},
          {"peak_bytes", peak},
          {"work", difference(loaded.model->work(), work_before)},
          {"cost", cost_of(result.output)},
          {"model", facts_of(loaded.model->info())},
          {"sequences", std::move(sequences)}};
}

}  // namespace

int main() {
  const whence::host::Catalogue catalogue(whence::host::plugin_search_path({}, {}));
  const PluginHost host(catalogue);
  std::map<std::string, LoadedModel> models;
  for (std::string request; std::getline(std::cin, request);) {
    json reply;
    try {
      reply = answer(host, request, models);
    } catch (const std::exception& error) {  // whoever asked decides what that means
      reply = {{"error", error.what()}};
    }
    std::cout << reply << std::endl;
  }
}
