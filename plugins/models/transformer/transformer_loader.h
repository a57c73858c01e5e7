#pragma once

#include <memory>

#include "whence/checkpoint_report.h"
#include "whence/model.h"

namespace whence::transformer {

/// Loads the checkpoints whose architecture is of one kind. [thread: any]
class TransformerLoader : public ModelLoader, public CheckpointExaminer {
 public:
  explicit TransformerLoader(ModelKind kind) : kind_(kind) {}

  bool recognises(const ModelRequest& request) const override;
  /// Throws ModelError for a checkpoint of the other kind, too.
  std::unique_ptr<Model> load(const ModelRequest& request) const override;
  CheckpointReport examine(const ModelRequest& request) const override;
  /// Offers CheckpointExaminer.
  const void* query(std::string_view capability) const override;

 private:
  ModelKind kind_;
};

}  // namespace whence::transformer
