#include "host/run_manifest.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <torch/headeronly/version.h>

#include <chrono>
#include <ctime>
#include <nlohmann/json.hpp>

#include "host/checksum.h"
#include "whence/plugin.h"

namespace whence::host {
namespace {

using Json = nlohmann::ordered_json;

std::string utc_now() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm broken{};
  gmtime_r(&now, &broken);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &broken);
  return text;
}

Json file_entry(const std::filesystem::path& path) {
  return {{"path", path.string()}, {"size", std::filesystem::file_size(path)}, {"sha256", sha256_of_file(path)}};
}

Json model_entry(const Experiment& experiment, const ComputedRun& run) {
  const ModelInfo& info = run.loaded.model->info();
  Json files = Json::array();
  for (const auto& file : checkpoint_files(experiment.model_path)) files.push_back(file_entry(file));
  return {{"path", experiment.model_path}, {"name", info.name},   {"architecture", info.architecture},
          {"class", info.class_name},      {"dtype", info.dtype}, {"weights_format", info.weights_format},
          {"parameters", info.parameters}, {"files", files}};
}

/// Every plugin that had a part in the results, once each.
Json plugin_entries(const PluginHost& host, const Experiment& experiment, const ComputedRun& run) {
  std::map<std::pair<PluginKind, std::string>, const PluginInfo*> used;
  const auto add = [&](PluginKind kind, const std::string& name) {
    const PluginInfo& plugin = host.catalogue().find(kind, name);
    used[{kind, plugin.name}] = &plugin;
  };
  add(PluginKind::model, run.loaded.plugin);
  for (const NamedOutput& result : run.outputs) {
    add(PluginKind::method, result.spec.method.name);
    add(PluginKind::step_function, result.spec.attributed_function.name);
    for (const Choice& score : result.spec.step_scores) add(PluginKind::step_function, score.name);
    for (const Choice& stage : result.spec.aggregation ? *result.spec.aggregation : default_aggregation(result.output))
      add(PluginKind::aggregator, stage.name);
  }
  for (const OutputSpec& output : experiment.outputs) add(PluginKind::renderer, output.renderer.name);
  Json entries = Json::array();
  for (const auto& [_, plugin] : used)
    entries.push_back({{"kind", kind_name(plugin->kind)},
                       {"name", plugin->name},
                       {"version", plugin->version},
                       {"library", plugin->library.string()},
                       {"sha256", plugin->sha256}});
  return entries;
}

Json input_entry(const Experiment& experiment, const ComputedRun& run) {
  Json texts = Json::array();
  for (const PreparedText& text : run.texts)
    texts.push_back({{"id", text.sequence.id},
                     {"input_sha256", sha256_of_text(text.input_text)},
                     {"generated_sha256", sha256_of_text(text.generated_text)},
                     {"constrained", text.constrained},
                     {"tokens", text.sequence.target.size()},
                     {"start", text.sequence.steps.start},
                     {"end", text.sequence.steps.end}});
  Json entry{{"texts", texts}};
  if (experiment.input_file) entry["file"] = file_entry(*experiment.input_file);
  return entry;
}

Json cost_entry(const AttributionOutput& output) {
  Json entry = Json::object();
  for (const auto& [key, value] : output.info)
    if (key == "cost")
      for (const auto& [name, count] : value.as_map()) entry[name] = count.as_int();
  return entry;
}

double seconds_of(const AttributionOutput& output) {
  for (const auto& [key, value] : output.info)
    if (key == "exec_time") return value.as_double();
  return 0;
}

const char* media_type(const std::string& file) {
  const std::string suffix = std::filesystem::path(file).extension();
  return suffix == ".json"   ? "application/json"
         : suffix == ".yaml" ? "application/yaml"
         : suffix == ".html" ? "text/html"
                             : "text/plain";
}

}  // namespace

std::string result_file(const std::string& attribution) { return "results/" + attribution + ".json"; }

std::vector<std::filesystem::path> checkpoint_files(const std::string& model_path) {
  if (!std::filesystem::is_directory(model_path)) return {model_path};
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(model_path))
    if (entry.is_regular_file()) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

std::string manifest_json(const PluginHost& host, const Experiment& experiment, const std::string& key,
                          const ComputedRun& run, const std::map<std::string, std::string>& files) {
  Json attributions = Json::array();
  for (const NamedOutput& result : run.outputs)
    attributions.push_back({{"name", result.spec.name},
                            {"result", result_file(result.spec.name)},
                            {"seconds", seconds_of(result.output)},
                            {"cost", cost_entry(result.output)}});
  Json architectures = Json::array();
  for (const auto& file : architecture_files()) architectures.push_back(file_entry(file));
  Json contents = Json::array();
  for (const auto& [name, bytes] : files)
    contents.push_back({{"path", name}, {"size", bytes.size()}, {"sha256", sha256_of_text(bytes)}});
  const Json manifest{
      {"format", 1},
      {"experiment", experiment.name},
      {"key", key},
      {"created", utc_now()},
      {"software",
       {{"whence", WHENCE_VERSION},
        {"plugin_abi", WHENCE_PLUGIN_ABI},
        {"build_id", WHENCE_BUILD_ID},
        {"libtorch", TORCH_VERSION}}},
      {"machine", {{"cpu_capability", at::get_cpu_capability()}, {"threads", at::get_num_threads()}}},
      {"seed", experiment.seed},
      {"model", model_entry(experiment, run)},
      {"inputs", input_entry(experiment, run)},
      {"plugins", plugin_entries(host, experiment, run)},
      {"architectures", architectures},
      {"attributions", attributions},
      {"seconds",
       {{"load", run.load_seconds}, {"generate", run.generation_seconds}, {"attribute", run.attribution_seconds}}},
      {"files", contents}};
  return manifest.dump(2) + "\n";
}

std::string crate_json(const Experiment& experiment, const ComputedRun& run,
                       const std::map<std::string, std::string>& files) {
  const std::string now = utc_now();
  Json parts = Json::array(), results = Json::array(), graph = Json::array();
  graph.push_back({{"@id", kCrateFile},
                   {"@type", "CreativeWork"},
                   {"about", {{"@id", "./"}}},
                   {"conformsTo", {{"@id", "https://w3id.org/ro/crate/1.1"}}}});
  for (const auto& [name, bytes] : files) {
    parts.push_back({{"@id", name}});
    if (name != kExperimentFile) results.push_back({{"@id", name}});
    graph.push_back({{"@id", name},
                     {"@type", "File"},
                     {"name", name},
                     {"contentSize", std::to_string(bytes.size())},
                     {"encodingFormat", media_type(name)}});
  }
  parts.push_back({{"@id", kManifestFile}});
  graph.push_back({{"@id", kManifestFile},
                   {"@type", "File"},
                   {"name", "checksums, versions and costs of the run"},
                   {"encodingFormat", "application/json"}});
  graph.push_back(
      {{"@id", "./"},
       {"@type", "Dataset"},
       {"name", experiment.name},
       {"description", "Feature attributions of " + std::to_string(run.texts.size()) +
                           " text(s) under the language model " + run.loaded.model->info().name + ", made by whence"},
       {"datePublished", now},
       {"license", "not stated"},
       {"hasPart", parts},
       {"mentions", {{"@id", "#run"}}}});
  graph.push_back(
      {{"@id", "#whence"}, {"@type", "SoftwareApplication"}, {"name", "whence"}, {"softwareVersion", WHENCE_VERSION}});
  graph.push_back({{"@id", "#run"},
                   {"@type", "CreateAction"},
                   {"name", "whence run"},
                   {"endTime", now},
                   {"instrument", {{"@id", "#whence"}}},
                   {"object", {{"@id", kExperimentFile}}},
                   {"result", results}});
  return Json{{"@context", "https://w3id.org/ro/crate/1.1/context"}, {"@graph", graph}}.dump(2) + "\n";
}

}  // namespace whence::host
