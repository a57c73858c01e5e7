#include "host/run_manifest.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <torch/headeronly/version.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <nlohmann/json.hpp>

#include "host/checksum.h"
#include "host/context_run.h"
#include "host/run_directory.h"
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
  for (const std::string& file : info.files) files.push_back(file_entry(file));
  return {{"path", experiment.model_path}, {"name", info.name},   {"architecture", info.architecture},
          {"class", info.class_name},      {"dtype", info.dtype}, {"weights_format", info.weights_format},
          {"parameters", info.parameters}, {"files", files}};
}

/// Throws InputError unless `pointer` leads to a list of objects with these members as text.
void require_texts(const nlohmann::json& manifest, const char* pointer, const std::vector<std::string>& members,
                   const std::filesystem::path& file) {
  const nlohmann::json::json_pointer place(pointer);
  const auto fail = [&](const std::string& what) {
    throw InputError(file.string() + ": no manifest of a run: " + what + "; make the run again");
  };
  if (!manifest.contains(place) || !manifest.at(place).is_array()) fail("expected a list at " + std::string(pointer));
  for (const auto& entry : manifest.at(place))
    for (const std::string& member : members)
      if (!entry.is_object() || !entry.contains(member) || !entry.at(member).is_string())
        fail("an entry of " + std::string(pointer) + " has no text '" + member + "'");
}

/// Every plugin that had a part in the results, once each.
Json plugin_entries(const PluginHost& host, const Experiment& experiment, const ComputedRun& run) {
  std::map<std::pair<PluginKind, std::string>, const PluginInfo*> used;
  const auto add = [&](PluginKind kind, const std::string& name) {
    const PluginInfo& plugin = host.catalogue().find(kind, name);
    used[{kind, plugin.name}] = &plugin;
  };
  add(PluginKind::model, run.loaded.plugin);
  const auto add_spec = [&](const AttributionSpec& spec, const std::vector<Choice>& aggregation) {
    add(PluginKind::method, spec.method.name);
    add(PluginKind::step_function, spec.attributed_function.name);
    for (const Choice& score : spec.step_scores) add(PluginKind::step_function, score.name);
    for (const Choice& stage : aggregation) add(PluginKind::aggregator, stage.name);
  };
  for (const NamedOutput& result : run.outputs)
    add_spec(result.spec, result.spec.aggregation ? *result.spec.aggregation : default_aggregation(result.output));
  if (experiment.context) {
    const AttributionSpec spec = with_sensitivity(*experiment.context);
    add_spec(spec, spec.aggregation ? *spec.aggregation : std::vector<Choice>{{"scores", {}, {}}});  // by default
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
  for (const PreparedText& text : run.texts) {
    texts.push_back({{"id", text.sequence.id},
                     {"input_sha256", sha256_of_text(text.input_text)},
                     {"generated_sha256", sha256_of_text(text.generated_text)},
                     {"constrained", text.constrained},
                     {"tokens", text.sequence.target.size()},
                     {"start", text.sequence.steps.start},
                     {"end", text.sequence.steps.end}});
    for (const Span& span : text.sequence.step_spans) texts.back()["spans"].push_back({span.start, span.end});
  }
  for (std::size_t i = 0; i < run.contexts.size(); ++i) {
    const ContextAttribution& result = run.contexts[i].result;
    Json text{{"id", run.contexts[i].id},
              {"input_sha256", sha256_of_text(result.input_current)},
              {"generated_sha256", sha256_of_text(result.output_current)},
              {"constrained", experiment.context_inputs[i].output_current.has_value()},
              {"tokens", result.output_tokens.size()}};
    for (const auto& [key, context] : {std::pair("input_context_sha256", &result.input_context),
                                       std::pair("output_context_sha256", &result.output_context)})
      if (*context) text[key] = sha256_of_text((*context)->text);
    texts.push_back(std::move(text));
  }
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

nlohmann::json read_run_manifest(const std::filesystem::path& directory) {
  const std::filesystem::path file = directory / kManifestFile;
  nlohmann::json manifest;
  try {
    manifest = nlohmann::json::parse(read_file(file));
  } catch (const nlohmann::json::exception&) {
    throw InputError(file.string() + ": not valid JSON, so no manifest of a run; make the run again");
  }
  require_texts(manifest, "/model/files", {"path", "sha256"}, file);
  require_texts(manifest, "/plugins", {"kind", "name", "sha256"}, file);
  require_texts(manifest, "/files", {"path", "sha256"}, file);
  return manifest;
}

std::string change_text(const std::string& what, const std::string& then, const std::string& now) {
  return what + ": sha256 was " + then + ", is " + now;
}

std::vector<std::string> changed_files(const nlohmann::json& manifest, const std::filesystem::path& directory) {
  std::vector<std::string> changes;
  for (const auto& entry : manifest.at("files")) {
    const std::filesystem::path name = entry.at("path").get<std::string>();
    const std::string then = entry.at("sha256").get<std::string>();
    // A run directory may come from somebody else.
    if (name.is_absolute() || std::find(name.begin(), name.end(), "..") != name.end()) {
      changes.push_back("stored " + name.string() + ": lies outside the run directory");
      continue;
    }
    std::error_code unreadable;
    if (!std::filesystem::is_regular_file(directory / name, unreadable))
      changes.push_back("stored " + name.string() + ": is missing");
    else if (const std::string now = sha256_of_file(directory / name); now != then)
      changes.push_back(change_text("stored " + name.string(), then, now));
  }
  return changes;
}

std::string manifest_json(const PluginHost& host, const Experiment& experiment, const std::string& key,
                          const ComputedRun& run, const std::map<std::string, std::string>& files) {
  Json attributions = Json::array();
  for (const NamedOutput& result : run.outputs)
    attributions.push_back({{"name", result.spec.name},
                            {"result", result_file(result.spec.name)},
                            {"seconds", seconds_of(result.output)},
                            {"cost", cost_entry(result.output)}});
  Json contexts = Json::array();
  for (const NamedContext& context : run.contexts)
    contexts.push_back({{"id", context.id},
                        {"result", result_file(context.id)},
                        {"context_sensitive_tokens", context.result.selected.size()}});
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
      {"contexts", contexts},
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
       {"description", "Feature attributions of " + std::to_string(run.texts.size() + run.contexts.size()) +
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
