#pragma once

#include "kernels.h"

// One namespace for each instruction set that the kernels are compiled for.
namespace whence::transformer {
namespace portable {
template <class T>
const Kernels<T>& table();
}
namespace avx2 {
template <class T>
const Kernels<T>& table();
}
namespace avx512 {
template <class T>
const Kernels<T>& table();
}
namespace avx512_bf16 {
template <class T>
const Kernels<T>& table();
}
}  // namespace whence::transformer
