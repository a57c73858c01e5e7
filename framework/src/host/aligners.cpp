#include "host/aligners.h"

namespace whence::host {

namespace fs = std::filesystem;

const Model& Aligners::operator()(const AlignmentChoice& choice) const {
  if (choice.model == experiment_.model_path) return model_;
  LoadedModel& aligner = (*loaded_)[choice.model];
  if (!aligner.model) aligner = load_model(host_, choice.model, {}, {.memory_bytes = experiment_.memory_bytes});
  return *aligner.model;
}

std::set<fs::path> aligner_files(const Experiment& experiment) {
  std::set<fs::path> files;
  std::vector<AlignmentChoice> choices;
  for (const InputText& input : experiment.inputs)
    if (input.contrast && input.contrast->alignment) choices.push_back(*input.contrast->alignment);
  if (experiment.context) choices.push_back(experiment.context->alignment);
  for (const AlignmentChoice& choice : choices) {
    if (choice.way != AlignmentWay::states || choice.model == experiment.model_path) continue;
    std::error_code failure;
    if (!fs::is_directory(choice.model, failure)) files.insert(choice.model);
    for (const auto& entry : fs::directory_iterator(choice.model, failure))
      if (entry.is_regular_file(failure)) files.insert(entry.path());
  }
  return files;
}

}  // namespace whence::host
