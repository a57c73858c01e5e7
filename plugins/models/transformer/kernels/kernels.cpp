#include "kernels.h"

#include "instruction_set.h"
#include "kernels_sets.h"

namespace whence::transformer {

template <class T>
const Kernels<T>& kernels_for(InstructionSet set) {
  switch (set) {
#if defined(__x86_64__)
    case InstructionSet::avx2:
      return avx2::table<T>();
    case InstructionSet::avx512:
      return avx512::table<T>();
    case InstructionSet::avx512_bf16:
      return avx512_bf16::table<T>();
#endif
    default:
      return portable::table<T>();
  }
}

template <class T>
const Kernels<T>& kernels() {
  static const Kernels<T>& chosen = kernels_for<T>(instruction_set());
  return chosen;
}

template const Kernels<float>& kernels_for(InstructionSet);
template const Kernels<double>& kernels_for(InstructionSet);
template const Kernels<float>& kernels();
template const Kernels<double>& kernels();

}  // namespace whence::transformer
