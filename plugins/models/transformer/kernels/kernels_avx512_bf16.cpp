#include "kernels_impl.h"
#include "kernels_sets.h"

namespace whence::transformer::avx512_bf16 {

template <>
const Kernels<float>& table() {
  return kFloatKernels;
}
template <>
const Kernels<double>& table() {
  return kDoubleKernels;
}

}  // namespace whence::transformer::avx512_bf16
