#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace whence::transformer {

/// How the elements of a stored tensor are packed: plain little-endian numbers (blocks of one) or quantised blocks.
struct TensorType {
  std::string_view name;        ///< "F32", "BF16", "Q4_1", ...
  std::int64_t block_elements;  ///< elements in one block; a row is a whole number of blocks
  std::int64_t block_bytes;
  /// Unpacks `count` blocks into `count * block_elements` floats; no alignment is asked of `blocks`. [thread: any]
  void (*decode)(const std::byte* blocks, std::int64_t count, float* out);
};

/// The type of that name, or null when this engine cannot unpack it.
const TensorType* find_tensor_type(std::string_view name);

/// Bytes of a tensor of that shape (outermost dimension first). Empty when a dimension is negative, a number overflows,
/// or a row (the last dimension) is not a whole number of blocks.
std::optional<std::uint64_t> packed_bytes(const TensorType& type, std::span<const std::int64_t> shape);

/// Unpacks whole blocks to float32 on all of libtorch's threads. `blocks` must hold exactly what `out` needs: a whole
/// number of blocks; std::invalid_argument otherwise. Any run of rows of a tensor can be unpacked alone.
void dequantise(const TensorType& type, std::span<const std::byte> blocks, std::span<float> out);

}  // namespace whence::transformer
