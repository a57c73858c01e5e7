#pragma once

#include <memory>

#include "whence/model.h"

namespace whence::transformer {

/// Loads the checkpoints whose architecture is of one kind. [thread: any]
class TransformerLoader : public ModelLoader {
 public:
  explicit TransformerLoader(ModelKind kind) : kind_(kind) {}

  bool recognises(const ModelRequest& request) const override;
  /// Throws ModelError for a checkpoint of the other kind, too.
  std::unique_ptr<Model> load(const ModelRequest& request) const override;

 private:
  ModelKind kind_;
};

}  // namespace whence::transformer
