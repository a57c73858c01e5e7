#pragma once

#include "kernels.h"

// One namespace for each instruction set that the kernels are compiled for.
namespace whence::transformer {
namespace portable {
const Kernels<float>& float_kernels();
const Kernels<double>& double_kernels();
}  // namespace portable
namespace avx2 {
const Kernels<float>& float_kernels();
const Kernels<double>& double_kernels();
}  // namespace avx2
namespace avx512 {
const Kernels<float>& float_kernels();
const Kernels<double>& double_kernels();
}  // namespace avx512
namespace avx512_bf16 {
const Kernels<float>& float_kernels();
const Kernels<double>& double_kernels();
}  // namespace avx512_bf16
}  // namespace whence::transformer
