#include "tensor_store.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <cstdint>
#include <cstdio>

#include "layout.h"
#include "whence/error.h"

namespace whence::transformer {

TensorStore::~TensorStore() = default;

const RawTensor& TensorStore::raw(std::string_view name) const {
  const auto found = tensors_.find(name);
  if (found != tensors_.end()) return found->second;
  std::string text = path_.string() + ": no tensor " + quote_name(name) + " among the " + std::to_string(names_.size());
  if (const std::string nearest = nearest_name(name, names_); !nearest.empty())
    text += "; the nearest is " + quote_name(nearest);
  throw ModelError(text);
}

at::Tensor TensorStore::load(std::string_view name) const { return to_float32(raw(name)); }

std::int64_t TensorStore::byte_size() const {
  std::int64_t sum = 0;
  for (const auto& [_, tensor] : tensors_) sum += static_cast<std::int64_t>(tensor.bytes.size());
  return sum;
}

bool TensorStore::add(const std::string& name, RawTensor tensor) {
  if (!tensors_.emplace(name, std::move(tensor)).second) return false;
  names_.push_back(name);
  return true;
}

void TensorStore::describe(std::string_view format) {
  std::uint64_t bytes = 0;
  for (const auto& [name, tensor] : tensors_) bytes += tensor.bytes.size();
  char size[32];
  std::snprintf(size, sizeof size, "%.1f MiB", static_cast<double>(bytes) / (1 << 20));
  description_ =
      path_.string() + " (" + std::string(format) + ", " + std::to_string(names_.size()) + " tensors, " + size + ")";
}

at::Tensor to_float32(const RawTensor& raw) {
  const bool aligned = reinterpret_cast<std::uintptr_t>(raw.bytes.data()) % alignof(float) == 0;
  if (raw.type->name == "F32" && aligned && !raw.bytes.empty()) {
    auto* data = const_cast<std::byte*>(raw.bytes.data());  // libtorch has no read-only tensors
    return at::from_blob(
        data, raw.shape, [file = raw.file](void*) {}, at::kFloat);
  }
  at::Tensor dense = at::empty(raw.shape, at::kFloat);
  dequantise(*raw.type, raw.bytes, {dense.mutable_data_ptr<float>(), static_cast<std::size_t>(dense.numel())});
  return dense;
}

}  // namespace whence::transformer
