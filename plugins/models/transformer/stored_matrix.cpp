#include "stored_matrix.h"

#include <stdexcept>

namespace whence::transformer {
namespace {

template <class From, class To>
void copy_numbers(const From* from, std::int64_t count, To* to) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = static_cast<To>(from[i]);
}

}  // namespace

StoredMatrix::StoredMatrix(Tensor dense) : dense_(dense.contiguous()), out_(dense.size(0)), in_(dense.size(1)) {
  if (dense_.scalar_type() != at::kFloat && dense_.scalar_type() != at::kDouble)
    throw std::invalid_argument("expected a matrix of float32 or float64");
}

StoredMatrix::StoredMatrix(RawTensor raw) : raw_(std::move(raw)) {
  if (raw_->shape.size() != 2) throw std::invalid_argument("expected a stored tensor of two dimensions");
  out_ = raw_->shape[0];
  in_ = raw_->shape[1];
}

StoredMatrix StoredMatrix::halves_from_pairs(std::int64_t head_size) const {
  StoredMatrix result = *this;
  result.paired_head_ = head_size;
  return result;
}

template <class T>
void StoredMatrix::read_row(std::int64_t row, T* out) const {
  if (paired_head_ > 0) {
    const std::int64_t half = paired_head_ / 2, channel = row % paired_head_;
    row += (channel < half ? 2 * channel : 2 * (channel - half) + 1) - channel;
  }
  if (!raw_) {
    if (dense_.scalar_type() == at::kFloat)
      copy_numbers(dense_.const_data_ptr<float>() + row * in_, in_, out);
    else
      copy_numbers(dense_.const_data_ptr<double>() + row * in_, in_, out);
    return;
  }
  const std::int64_t blocks = in_ / raw_->type->block_elements;
  const std::byte* bytes = raw_->bytes.data() + row * blocks * raw_->type->block_bytes;
  if constexpr (std::is_same_v<T, float>) {
    raw_->type->decode(bytes, blocks, out);
  } else {
    std::vector<float> numbers(static_cast<std::size_t>(in_));
    raw_->type->decode(bytes, blocks, numbers.data());
    copy_numbers(numbers.data(), in_, out);
  }
}

template void StoredMatrix::read_row(std::int64_t, float*) const;
template void StoredMatrix::read_row(std::int64_t, double*) const;

}  // namespace whence::transformer
