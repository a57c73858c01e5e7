#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mapped_file.h"
#include "tensor_type.h"

namespace whence::transformer {

/// A tensor as it lies in its file: packed bytes and how to read them.
struct RawTensor {
  const TensorType* type = nullptr;
  std::vector<std::int64_t> shape;         ///< outermost dimension first; empty for a scalar
  std::span<const std::byte> bytes;        ///< a view of `file`
  std::shared_ptr<const MappedFile> file;  ///< keeps `bytes` valid
};

/// The tensors of one checkpoint by name, mapped and not read until asked for. [thread: any once constructed]
class TensorStore {
 public:
  virtual ~TensorStore();
  TensorStore(const TensorStore&) = delete;
  TensorStore& operator=(const TensorStore&) = delete;

  /// The file or directory the checkpoint was opened from.
  const std::filesystem::path& path() const noexcept { return path_; }
  /// One line for people: path, format, number of tensors and their size.
  const std::string& description() const noexcept { return description_; }
  /// In the order of the file for GGUF; by name within a file for safetensors.
  const std::vector<std::string>& names() const noexcept { return names_; }
  bool has(std::string_view name) const { return tensors_.contains(name); }

  // All of these throw ModelError, naming the nearest tensor, when there is none called `name`.
  const RawTensor& raw(std::string_view name) const;
  const std::vector<std::int64_t>& shape(std::string_view name) const { return raw(name).shape; }
  std::string_view dtype(std::string_view name) const { return raw(name).type->name; }
  /// Size in the file, packed.
  std::size_t byte_size(std::string_view name) const { return raw(name).bytes.size(); }
  /// Of all tensors.
  std::int64_t byte_size() const;

  /// The tensor as dense float32 on the CPU. F32 data is not copied: the result looks into the mapped file, keeps it
  /// open and must never be written to. Everything else is unpacked into memory of its own.
  at::Tensor load(std::string_view name) const;

 protected:
  explicit TensorStore(std::filesystem::path path) : path_(std::move(path)) {}
  /// False, and nothing is added, when the name is taken.
  bool add(const std::string& name, RawTensor tensor);
  /// Fills in the description once all tensors are added; `format` is "GGUF v3" or the like.
  void describe(std::string_view format);

 private:
  std::filesystem::path path_;
  std::string description_;
  std::vector<std::string> names_;
  std::map<std::string, RawTensor, std::less<>> tensors_;
};

/// `raw` as dense float32; see TensorStore::load.
at::Tensor to_float32(const RawTensor& raw);

}  // namespace whence::transformer
