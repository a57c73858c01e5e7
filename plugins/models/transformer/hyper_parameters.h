#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "whence/value.h"

namespace whence::transformer {

class GgufFile;

/// Where the hyper-parameters and the weight names of a checkpoint come from.
enum class CheckpointFormat { config_json, gguf };

/// What a checkpoint says about itself, by key: the members of its config.json, or the metadata of its GGUF file.
/// Keys are dotted paths. Those of GGUF are relative to its architecture: `block_count` finds `llama.block_count`.
class HyperParameters {
 public:
  /// Throws ModelError when the file is missing or is not a JSON object.
  static HyperParameters from_config(const std::filesystem::path& file);
  static HyperParameters from_gguf(const GgufFile& file);

  CheckpointFormat format() const noexcept { return format_; }
  const std::string& file() const noexcept { return file_; }
  /// `general.architecture` of a GGUF file.
  std::string gguf_architecture() const { return prefix_.substr(0, prefix_.find('.')); }
  /// A null value when there is no such key. A GGUF key that is only a prefix gives a mapping of all keys below it.
  Value find(std::string_view key) const;
  /// Whether the key is there and says null.
  bool is_null(std::string_view key) const;
  /// Whether a GGUF file has a tensor of that name.
  bool has_tensor(std::string_view name) const { return tensors_.contains(name); }
  /// All keys that have a value of their own, those inside mappings too; not those whose value is null.
  std::vector<std::string> keys() const;
  /// The same without one key and all keys below it.
  HyperParameters without(std::string_view key) const;
  /// "file: 'key'", the start of an error text.
  std::string place(std::string_view key) const;

 private:
  const Value* member(std::string_view key) const;
  HyperParameters(CheckpointFormat format, std::string file) : format_(format), file_(std::move(file)) {}

  CheckpointFormat format_;
  std::string file_;
  std::string prefix_;  ///< "llama." for GGUF
  Value root_;
  std::set<std::string, std::less<>> tensors_;  ///< of GGUF
};

}  // namespace whence::transformer
