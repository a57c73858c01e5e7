#include "stored_matrix.h"

#include <stdexcept>

namespace whence::transformer {
namespace {

template <class From, class To>
void copy_numbers(const From* from, std::int64_t count, To* to) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = static_cast<To>(from[i]);
}

}  // namespace

StoredMatrix::StoredMatrix(Tensor dense)
    : dense_(dense.contiguous()), out_(dense.size(0)), in_(dense.size(1)), stored_columns_(in_) {
  if (dense_.scalar_type() != at::kFloat && dense_.scalar_type() != at::kDouble)
    throw std::invalid_argument("expected a matrix of float32 or float64");
}

StoredMatrix::StoredMatrix(RawTensor raw) : raw_(std::move(raw)) {
  if (raw_->shape.size() < 2) throw std::invalid_argument("expected a stored tensor of two dimensions or more");
  in_ = stored_columns_ = raw_->shape.back();
  out_ = 1;
  for (std::size_t i = 0; i + 1 < raw_->shape.size(); ++i) out_ *= raw_->shape[i];
}

StoredMatrix StoredMatrix::transposed() const {
  if (transposed_ || which_) throw std::invalid_argument("a matrix is transposed before rows are taken from it");
  if (raw_ && raw_->type->block_elements != 1)
    throw std::invalid_argument("a matrix of quantised blocks cannot be transposed");
  StoredMatrix result = *this;
  std::swap(result.out_, result.in_);
  result.transposed_ = true;
  return result;
}

StoredMatrix StoredMatrix::rows(std::int64_t first, std::int64_t count) const {
  std::vector<std::int64_t> which;
  if (!which_ && !transposed_) {
    StoredMatrix result = *this;
    result.first_ += first;
    result.out_ = count;
    return result;
  }
  for (std::int64_t i = 0; i < count; ++i) which.push_back(first + i);
  return rows(std::move(which));
}

StoredMatrix StoredMatrix::rows(std::vector<std::int64_t> which) const {
  for (std::int64_t& row : which) {
    if (row < 0 || row >= out_) throw std::invalid_argument("a row that the matrix does not have was asked for");
    if (which_) row = (*which_)[static_cast<std::size_t>(row)];
  }
  StoredMatrix result = *this;
  result.out_ = std::ssize(which);
  result.which_ = std::make_shared<const std::vector<std::int64_t>>(std::move(which));
  return result;
}

template <class T>
void StoredMatrix::read_row(std::int64_t row, T* out) const {
  if (which_) row = (*which_)[static_cast<std::size_t>(row)];
  if (!transposed_) return read_stored_row(first_ + row, out);
  // Rows of what is stored from `first_` on are the columns.
  for (std::int64_t i = 0; i < in_; ++i) {
    const std::int64_t at = (first_ + i) * stored_columns_ + row;
    if (raw_) {
      float number;
      raw_->type->decode(raw_->bytes.data() + at * raw_->type->block_bytes, 1, &number);
      out[i] = static_cast<T>(number);
    } else if (dense_.scalar_type() == at::kFloat) {
      out[i] = static_cast<T>(dense_.const_data_ptr<float>()[at]);
    } else {
      out[i] = static_cast<T>(dense_.const_data_ptr<double>()[at]);
    }
  }
}

template <class T>
void StoredMatrix::read_stored_row(std::int64_t row, T* out) const {
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
