#include "instruction_set.h"

#include <cstdlib>

#include "whence/error.h"

namespace whence::transformer {
namespace {

constexpr InstructionSet kAll[] = {InstructionSet::portable, InstructionSet::avx2, InstructionSet::avx512,
                                   InstructionSet::avx512_bf16};
constexpr const char* kVariable = "WHENCE_KERNELS";

bool is_available(InstructionSet set) {
#if defined(__x86_64__)
  switch (set) {
    case InstructionSet::portable:
      return true;
    case InstructionSet::avx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case InstructionSet::avx512:
      return is_available(InstructionSet::avx2) && __builtin_cpu_supports("avx512f") &&
             __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("avx512vl");
    case InstructionSet::avx512_bf16:
      return is_available(InstructionSet::avx512) && __builtin_cpu_supports("avx512bf16");
  }
#endif
  return set == InstructionSet::portable;
}

InstructionSet chosen() {
  const std::vector<InstructionSet> available = available_instruction_sets();
  const char* wanted = std::getenv(kVariable);
  if (!wanted || !*wanted) return available.back();
  std::string names;
  for (const InstructionSet set : available) {
    if (name_of(set) == wanted) return set;
    names += (names.empty() ? "" : ", ") + name_of(set);
  }
  throw ConfigError(std::string(kVariable) + ": expected an instruction set that this processor has (" + names +
                    "), found '" + wanted + "'");
}

}  // namespace

InstructionSet instruction_set() {
  static const InstructionSet set = chosen();
  return set;
}

std::string name_of(InstructionSet set) {
  switch (set) {
    case InstructionSet::portable:
      return "portable";
    case InstructionSet::avx2:
      return "avx2";
    case InstructionSet::avx512:
      return "avx512";
    case InstructionSet::avx512_bf16:
      return "avx512_bf16";
  }
  return {};
}

std::vector<InstructionSet> available_instruction_sets() {
  std::vector<InstructionSet> sets;
  for (const InstructionSet set : kAll)
    if (is_available(set)) sets.push_back(set);
  return sets;
}

}  // namespace whence::transformer
