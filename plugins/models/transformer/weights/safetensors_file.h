#pragma once

#include <filesystem>

#include "tensor_store.h"

namespace whence::transformer {

/// The tensors of a safetensors checkpoint: one file, or all shards that a `*.safetensors.index.json` names.
/// Format: the description in the README of the safetensors library.
class SafetensorsFile : public TensorStore {
 public:
  /// `path` is a .safetensors file, an index, or a directory with a model.safetensors or a model.safetensors.index.json
  /// (the single file wins, as in the library that writes both). Throws ModelError when anything is missing, damaged or
  /// contradictory.
  explicit SafetensorsFile(const std::filesystem::path& path);

 private:
  void add_file(const std::filesystem::path& path);
  void add_shards(const std::filesystem::path& index);
};

}  // namespace whence::transformer
