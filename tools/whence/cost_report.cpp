#include "cost_report.h"

#include <fstream>

#include "amount_text.h"
#include "host/attribution_info.h"

namespace whence::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string work_text(const Work& work, std::int64_t tensor_bytes) {
  return counted(work.forward_passes, "forward pass") + " (" + counted(work.forward_rows, "row") + ", " +
         std::to_string(work.head_rows) + " through the head), " + counted(work.backward_passes, "backward pass") +
         " (" + counted(work.backward_rows, "row") + "), tensors at most " + bytes_text(tensor_bytes);
}

Json work_json(const std::string& name, const Work& work, std::int64_t tensor_bytes) {
  return {{"name", name},
          {"forward_passes", work.forward_passes},
          {"forward_rows", work.forward_rows},
          {"head_rows", work.head_rows},
          {"backward_passes", work.backward_passes},
          {"backward_rows", work.backward_rows},
          {"tensor_bytes", tensor_bytes}};
}

std::string model_text(const ModelInfo& model) {
  return "weights: " + bytes_text(model.weight_bytes) + " in memory, " + bytes_text(model.mapped_bytes) +
         " read from the file when used\n";
}

Json model_json(const ModelInfo& model) {
  return {{"weight_bytes", model.weight_bytes}, {"mapped_bytes", model.mapped_bytes}};
}

/// A number of /proc/self/status about this process; 0 where there is none.
std::int64_t status_number(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(field + ":")) return std::atoll(line.c_str() + field.size() + 1);
  return 0;
}

struct Process {
  std::int64_t resident_bytes = status_number("VmRSS") * 1024, peak_resident_bytes = status_number("VmHWM") * 1024;
  std::int64_t threads = status_number("Threads");
};

}  // namespace

std::string stats_text(const std::vector<host::NamedOutput>& outputs, const ModelInfo* model) {
  std::string text;
  for (const host::NamedOutput& output : outputs) {
    const auto cost = host::cost_of(output.output);
    if (!cost) continue;
    char seconds[32];
    std::snprintf(seconds, sizeof seconds, ", %.2f s\n", cost->seconds);
    text += output.spec.name + ": " + work_text(cost->work, cost->tensor_bytes) + seconds;
  }
  if (!model) return text;
  const Process process;
  return text + model_text(*model) + "process: " + bytes_text(process.resident_bytes) + " resident, at most " +
         bytes_text(process.peak_resident_bytes) + "; " + counted(process.threads, "thread") + "\n";
}

Json stats_json(const std::vector<host::NamedOutput>& outputs, const ModelInfo* model) {
  Json attributions = Json::array();
  for (const host::NamedOutput& output : outputs)
    if (const auto cost = host::cost_of(output.output)) {
      attributions.push_back(work_json(output.spec.name, cost->work, cost->tensor_bytes));
      attributions.back()["seconds"] = cost->seconds;
    }
  Json stats{{"attributions", attributions}};
  if (!model) return stats;
  stats["model"] = model_json(*model);
  const Process process;
  stats["process"] = {{"resident_bytes", process.resident_bytes},
                      {"peak_resident_bytes", process.peak_resident_bytes},
                      {"threads", process.threads}};
  return stats;
}

std::string plan_text(const host::RunPlan& plan) {
  std::string text;
  for (const auto& [name, attribution] : plan.attributions)
    text += name + ": " + work_text(attribution.work, attribution.tensor_bytes) +
            (attribution.at_most ? "; less where steps reach the tolerance early\n" : "\n");
  return text + model_text(plan.loaded.model->info());
}

Json plan_json(const host::RunPlan& plan) {
  Json attributions = Json::array();
  for (const auto& [name, attribution] : plan.attributions) {
    attributions.push_back(work_json(name, attribution.work, attribution.tensor_bytes));
    attributions.back()["at_most"] = attribution.at_most;
  }
  return {{"attributions", attributions}, {"model", model_json(plan.loaded.model->info())}};
}

}  // namespace whence::cli
