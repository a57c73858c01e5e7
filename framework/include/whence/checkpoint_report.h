#pragma once

#include <string>
#include <vector>

namespace whence {

/// What a model made of its checkpoint: `Model::query("whence.checkpoint_report/1")` points to one.
struct CheckpointReport {
  static constexpr const char* kCapability = "whence.checkpoint_report/1";

  std::string description;                  ///< one line: path, format, number of tensors and their size
  std::vector<std::string> unused_tensors;  ///< stored, but not part of the model that was built
};

}  // namespace whence
