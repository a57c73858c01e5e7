#include "host/model_examination.h"

#include "host/model_loading.h"

namespace whence::host {
namespace {

bool recognises(const ModelLoader& loader, const ModelRequest& request) {
  try {
    return loader.recognises(request);
  } catch (const Error&) {
    return false;
  }
}

/// What only a loaded model knows, and all that is known where the plugin examines nothing.
void add_loaded(const Model& model, CheckpointReport& report) {
  const ModelInfo& info = model.info();
  report.architecture = info.architecture;
  report.class_name = info.class_name;
  report.kind = info.kind;
  report.parameters = info.parameters;
  report.memory.forward_row = info.pass_bytes.forward_row;
  report.memory.traced_row = info.pass_bytes.traced_row;
  report.memory.cotangent_row = info.pass_bytes.cotangent_row;
  if (report.description.empty()) report.description = info.weights_format;
  if (report.sizes.empty())
    report.sizes = {{"layers", info.layers},
                    {"hidden", info.hidden},
                    {"heads", info.heads},
                    {"vocabulary", info.vocabulary},
                    {"context", info.max_positions}};
}

}  // namespace

ExaminedModel examine_model(const PluginHost& host, const std::string& path, const std::optional<std::string>& plugin) {
  std::vector<std::string> broken_architectures;
  const ModelRequest request = model_request(path, {}, broken_architectures);
  const std::vector<std::string> candidates = model_plugins(host.catalogue(), path, plugin);
  ExaminedModel examined{.plugin = candidates.front(), .report = {}};
  for (std::size_t i = 0; i < candidates.size() && candidates.size() > 1; ++i)
    if (recognises(*host.make_model_loader({candidates[i], {}, {}}), request)) {
      examined.plugin = candidates[i];
      break;
    }
  const auto loader = host.make_model_loader({examined.plugin, {}, {}});
  CheckpointReport& report = examined.report;
  if (const void* power = loader->query(CheckpointExaminer::kCapability))
    report = static_cast<const CheckpointExaminer*>(power)->examine(request);
  if (report.problems.empty()) {
    try {
      add_loaded(*loader->load(request), report);
    } catch (const Error& error) {
      report.problems.push_back({error.status(), error.what()});
    }
  }
  for (const std::string& error : broken_architectures)
    report.warnings.push_back("architecture file not read: " + error);
  return examined;
}

}  // namespace whence::host
