#include "tensor_type.h"

#include <ATen/Parallel.h>
#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <stdexcept>

#include "gguf_quants.h"

namespace whence::transformer {
namespace {

static_assert(std::endian::native == std::endian::little, "checkpoints are read as they lie in memory");

template <class Number>
void decode_numbers(const std::byte* blocks, std::int64_t count, float* out) {
  for (std::int64_t i = 0; i < count; ++i) {
    Number value;
    std::memcpy(&value, blocks + i * sizeof(Number), sizeof(Number));
    out[i] = static_cast<float>(value);
  }
}

template <class Number>
constexpr TensorType number(std::string_view name) {
  return {name, 1, sizeof(Number), &decode_numbers<Number>};
}

constexpr std::array kNumbers{
    number<float>("F32"),         number<c10::Half>("F16"),     number<c10::BFloat16>("BF16"),
    number<double>("F64"),        number<std::int8_t>("I8"),    number<std::int16_t>("I16"),
    number<std::int32_t>("I32"),  number<std::int64_t>("I64"),  number<std::uint8_t>("U8"),
    number<std::uint16_t>("U16"), number<std::uint32_t>("U32"), number<std::uint64_t>("U64"),
    number<std::uint8_t>("BOOL"),
};

// Elements that one thread unpacks at least; below this a second thread costs more than it saves.
constexpr std::int64_t kGrain = 1 << 15;

}  // namespace

const TensorType* find_tensor_type(std::string_view name) {
  const std::span<const TensorType> numbers = kNumbers;
  for (const auto types : {numbers, gguf_quants()}) {
    const auto found = std::ranges::find(types, name, &TensorType::name);
    if (found != types.end()) return &*found;
  }
  return nullptr;
}

std::optional<std::uint64_t> packed_bytes(const TensorType& type, std::span<const std::int64_t> shape) {
  std::int64_t elements = 1;
  bool empty = false;
  for (const std::int64_t size : shape) {
    if (size < 0) return std::nullopt;
    // A zero must not hide an overflow of the others: strides are computed from them all the same.
    empty |= size == 0;
    if (__builtin_mul_overflow(elements, std::max<std::int64_t>(size, 1), &elements)) return std::nullopt;
  }
  if ((shape.empty() ? 1 : shape.back()) % type.block_elements != 0) return std::nullopt;
  constexpr std::int64_t kWidest = sizeof(double);  // bounds the float32 copy and every stored type
  if (elements > std::numeric_limits<std::int64_t>::max() / kWidest) return std::nullopt;
  return empty ? 0 : static_cast<std::uint64_t>(elements / type.block_elements * type.block_bytes);
}

void dequantise(const TensorType& type, std::span<const std::byte> blocks, std::span<float> out) {
  const auto count = static_cast<std::int64_t>(blocks.size()) / type.block_bytes;
  if (static_cast<std::int64_t>(blocks.size()) != count * type.block_bytes ||
      static_cast<std::int64_t>(out.size()) != count * type.block_elements)
    throw std::invalid_argument("dequantise: the output does not fit the number of blocks");
  at::parallel_for(
      0, count, std::max<std::int64_t>(1, kGrain / type.block_elements), [&](std::int64_t begin, std::int64_t end) {
        type.decode(blocks.data() + begin * type.block_bytes, end - begin, out.data() + begin * type.block_elements);
      });
}

}  // namespace whence::transformer
