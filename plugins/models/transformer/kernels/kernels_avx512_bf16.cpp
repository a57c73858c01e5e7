#include "kernels_impl.h"
#include "kernels_sets.h"

namespace whence::transformer::avx512_bf16 {

const Kernels<float>& float_kernels() { return kFloatKernels; }
const Kernels<double>& double_kernels() { return kDoubleKernels; }

}  // namespace whence::transformer::avx512_bf16
