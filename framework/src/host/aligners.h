#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "host/contrast.h"
#include "host/model_loading.h"

namespace whence::host {

/// Finds the models that the texts of an experiment are aligned by (FindAligner), each loaded once. What it is made
/// with outlives it.
class Aligners {
 public:
  Aligners(const PluginHost& host, const Experiment& experiment, const Model& model)
      : host_(host), experiment_(experiment), model_(model) {}
  const Model& operator()(const AlignmentChoice& choice) const;

 private:
  const PluginHost& host_;
  const Experiment& experiment_;
  const Model& model_;  ///< of the experiment, which may align, too
  std::shared_ptr<std::map<std::string, LoadedModel>> loaded_ = std::make_shared<std::map<std::string, LoadedModel>>();
};

/// Files of the checkpoints that align texts; of a folder all of them, since which ones are read is known to its
/// plugin.
std::set<std::filesystem::path> aligner_files(const Experiment& experiment);

}  // namespace whence::host
