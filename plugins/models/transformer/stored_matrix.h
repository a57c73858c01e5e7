#pragma once

#include <optional>
#include <vector>

#include "tensor_store.h"
#include "whence/tensor.h"

namespace whence::transformer {

/// A weight matrix [out,in] wherever it lies: in memory, or in the mapped file in the form it is stored in. Rows are
/// unpacked when somebody reads them.
class StoredMatrix {
 public:
  explicit StoredMatrix(Tensor dense);
  explicit StoredMatrix(RawTensor raw);

  std::int64_t out() const { return out_; }
  std::int64_t in() const { return in_; }
  /// Bytes in the file; 0 for a matrix in memory.
  std::int64_t mapped_bytes() const { return raw_ ? static_cast<std::int64_t>(raw_->bytes.size()) : 0; }

  /// The same matrix with rows (2i, 2i + 1) of each head as rows (i, i + head_size / 2).
  StoredMatrix halves_from_pairs(std::int64_t head_size) const;

  /// Row `row` as `in()` numbers. [thread: any]
  template <class T>
  void read_row(std::int64_t row, T* out) const;

 private:
  Tensor dense_;                  // float or double, contiguous
  std::optional<RawTensor> raw_;  // when not dense
  std::int64_t out_ = 0, in_ = 0;
  std::int64_t paired_head_ = 0;  // 0: rows as they are stored
};

}  // namespace whence::transformer
