#pragma once

#include <vector>

#include "norm.h"

namespace whence::transformer {

/// Rows without mean and deviation: what the backward of a norm needs of its forward.
struct NormTrace {
  Tensor normed;   ///< [R,D]
  Tensor inverse;  ///< [R] 1 / deviation
};

/// out = the norm of x, which may be `out`; keeps what the backward needs in row `row` of `trace`, unless it is null.
template <class T>
void norm_row(const Norm& norm, const T* x, std::int64_t size, NormTrace* trace, std::int64_t row, T* out) {
  T* normed = trace ? trace->normed.mutable_data_ptr<T>() + row * size : out;
  const T inverse = normalise(norm, x, size, normed);
  if (trace) trace->inverse.mutable_data_ptr<T>()[row] = inverse;
  apply_gain<T>(norm, normed, 0, size, out);
}

/// The cotangent c of the norm of row `row` becomes that of the row. `frozen` takes the deviation for a constant.
template <class T>
void norm_row_pull_back(const Norm& norm, const NormTrace& trace, std::int64_t row, bool frozen, T* c) {
  const std::int64_t size = trace.normed.size(1);
  norm_pull_back<T>(norm, trace.normed.const_data_ptr<T>() + row * size, trace.inverse.const_data_ptr<T>()[row], frozen,
                    0, size, c);
}

/// The same for packed rows c [C,D] of cotangents of traced rows `rows` [C].
template <class T>
void norm_rows_pull_back(const Norm& norm, const NormTrace& trace, const std::vector<std::int64_t>& rows, bool frozen,
                         Tensor& c) {
  for (std::int64_t r = 0; r < c.size(0); ++r)
    norm_row_pull_back(norm, trace, rows[static_cast<std::size_t>(r)], frozen, c.mutable_data_ptr<T>() + r * c.size(1));
}

}  // namespace whence::transformer
