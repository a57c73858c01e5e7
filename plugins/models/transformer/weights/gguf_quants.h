#pragma once

#include <span>

#include "tensor_type.h"

namespace whence::transformer {

/// The quantised block formats of GGUF that this engine unpacks: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K
/// and Q6_K. The bytes of a block are described beside each decoder in the source.
std::span<const TensorType> gguf_quants();

}  // namespace whence::transformer
