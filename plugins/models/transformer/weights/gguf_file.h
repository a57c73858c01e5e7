#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tensor_store.h"

namespace whence::transformer {

/// One metadata value. All integer types that fit are widened to int64 (larger ones stay uint64), both float types to
/// double.
struct GgufValue {
  using Array = std::vector<GgufValue>;
  std::variant<std::int64_t, std::uint64_t, double, bool, std::string, Array> data;
};

/// A GGUF checkpoint, version 2 or 3, little-endian: metadata and tensors of one file. Tensor names and dimension order
/// are those of the file and of Python (outermost dimension first), not ggml's. Format: the GGUF specification in the
/// documentation of ggml.
class GgufFile : public TensorStore {
 public:
  /// Throws ModelError when the file is missing, truncated, damaged, of another version, or holds a tensor whose type
  /// cannot be unpacked.
  explicit GgufFile(const std::filesystem::path& path);

  int version() const noexcept { return version_; }
  const std::map<std::string, GgufValue, std::less<>>& metadata() const noexcept { return metadata_; }

  /// The value of `key`, empty where the file has none. T is bool, std::int64_t, double (integers widen), std::string
  /// or std::vector of one of these. Throws ModelError when the file holds another type, or an integer beyond int64.
  template <class T>
  std::optional<T> get(std::string_view key) const;

  /// As `get`; throws ModelError when there is none.
  template <class T>
  T require(std::string_view key) const;

 private:
  int version_ = 0;
  std::map<std::string, GgufValue, std::less<>> metadata_;
};

}  // namespace whence::transformer
