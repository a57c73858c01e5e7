#include "projection.h"

#include <ATen/ops/empty.h>

#include "parallel.h"

namespace whence::transformer {
namespace {

template <class T>
void reshape(PackedMatrix<T>& matrix, std::int64_t depth, std::int64_t width, Precision precision) {
  if (!matrix.defined() || matrix.depth() != depth || matrix.width() != width || matrix.precision() != precision)
    matrix = PackedMatrix<T>(depth, width, precision);
}

}  // namespace

std::int64_t Projection::out() const {
  std::int64_t sum = 0;
  for (const StoredMatrix& part : parts) sum += part.out();
  return sum;
}

Tensor Projection::dense() const {
  Tensor result = at::empty({out(), in()}, at::kFloat);
  const PackedMatrix<float>::ReadRow read = reader<float>(0);
  float* rows = result.mutable_data_ptr<float>();
  run_tasks(out(), [&](std::int64_t row, std::int64_t) { read(row, rows + row * in()); });
  return result;
}

template <class T>
typename PackedMatrix<T>::ReadRow Projection::reader(std::int64_t first) const {
  const Tensor factors = gain.defined() ? gain.to(c10::CppTypeToScalarType<T>::value).contiguous() : Tensor();
  return [this, first, factors](std::int64_t row, T* out) {
    row += first;
    auto part = parts.begin();
    while (row >= part->out()) row -= (part++)->out();
    part->read_row(row, out);
    if (factors.defined()) kernels<T>().multiply(out, factors.template const_data_ptr<T>(), part->in(), out);
  };
}

template <class T>
void Projection::pack_forward(Precision precision, std::int64_t first, std::int64_t count,
                              PackedMatrix<T>& into) const {
  reshape(into, in(), count, precision);
  into.pack_columns(reader<T>(first));
}

template <class T>
void Projection::pack_backward(Precision precision, std::int64_t first, std::int64_t count,
                               PackedMatrix<T>& into) const {
  reshape(into, count, in(), precision);
  into.pack_rows(reader<T>(first));
}

template void Projection::pack_forward(Precision, std::int64_t, std::int64_t, PackedMatrix<float>&) const;
template void Projection::pack_forward(Precision, std::int64_t, std::int64_t, PackedMatrix<double>&) const;
template void Projection::pack_backward(Precision, std::int64_t, std::int64_t, PackedMatrix<float>&) const;
template void Projection::pack_backward(Precision, std::int64_t, std::int64_t, PackedMatrix<double>&) const;

}  // namespace whence::transformer
