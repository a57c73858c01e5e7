#pragma once

#include <string>
#include <vector>

namespace whence::transformer {

/// Instruction sets that the kernels are compiled for, each a superset of the one before.
enum class InstructionSet { portable, avx2, avx512, avx512_bf16 };

/// The largest set that this processor has; WHENCE_KERNELS (portable, avx2, avx512, avx512_bf16) names a smaller one.
/// Throws ConfigError when the variable names none, or one that the processor lacks.
InstructionSet instruction_set();

/// As in WHENCE_KERNELS.
std::string name_of(InstructionSet set);

/// The sets this processor has, portable first.
std::vector<InstructionSet> available_instruction_sets();

}  // namespace whence::transformer
