#include "kernels.h"

#include "instruction_set.h"
#include "kernels_sets.h"

namespace whence::transformer {

template <>
const Kernels<float>& kernels_for(InstructionSet set) {
  switch (set) {
#if defined(__x86_64__)
    case InstructionSet::avx2:
      return avx2::float_kernels();
    case InstructionSet::avx512:
      return avx512::float_kernels();
    case InstructionSet::avx512_bf16:
      return avx512_bf16::float_kernels();
#endif
    default:
      return portable::float_kernels();
  }
}

template <>
const Kernels<double>& kernels_for(InstructionSet set) {
  switch (set) {
#if defined(__x86_64__)
    case InstructionSet::avx2:
      return avx2::double_kernels();
    case InstructionSet::avx512:
      return avx512::double_kernels();
    case InstructionSet::avx512_bf16:
      return avx512_bf16::double_kernels();
#endif
    default:
      return portable::double_kernels();
  }
}

template <class T>
const Kernels<T>& kernels() {
  static const Kernels<T>& chosen = kernels_for<T>(instruction_set());
  return chosen;
}

template const Kernels<float>& kernels();
template const Kernels<double>& kernels();

}  // namespace whence::transformer
