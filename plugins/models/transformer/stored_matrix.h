#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "tensor_store.h"
#include "whence/tensor.h"

namespace whence::transformer {

/// A weight matrix [out,in] wherever it lies: in memory, or in the mapped file in the form it is stored in, or some of
/// its rows. Rows are unpacked when somebody reads them. A stored tensor of more dimensions counts all but the last as
/// rows.
class StoredMatrix {
 public:
  explicit StoredMatrix(Tensor dense);
  explicit StoredMatrix(RawTensor raw);

  std::int64_t out() const { return out_; }
  std::int64_t in() const { return in_; }
  /// Bytes in the file; 0 for a matrix in memory.
  std::int64_t mapped_bytes() const { return raw_ ? static_cast<std::int64_t>(raw_->bytes.size()) : 0; }

  /// [in,out]. Of plain numbers alone, since blocks of several cannot be read one number at a time.
  StoredMatrix transposed() const;
  /// Some rows, in any order.
  StoredMatrix rows(std::vector<std::int64_t> which) const;
  StoredMatrix rows(std::int64_t first, std::int64_t count) const;

  /// Row `row` as `in()` numbers. [thread: any]
  template <class T>
  void read_row(std::int64_t row, T* out) const;

 private:
  template <class T>
  void read_stored_row(std::int64_t row, T* out) const;

  Tensor dense_;                  // float or double, contiguous
  std::optional<RawTensor> raw_;  // when not dense
  std::int64_t out_ = 0, in_ = 0;
  std::int64_t stored_columns_ = 0;
  bool transposed_ = false;
  std::int64_t first_ = 0;                                  // row of what is stored, or column when transposed
  std::shared_ptr<const std::vector<std::int64_t>> which_;  // null: rows from `first_` on
};

}  // namespace whence::transformer
