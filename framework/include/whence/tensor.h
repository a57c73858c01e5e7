#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace whence {

// Letters in shapes, everywhere in this SDK: B sequences, V vocabulary, S source length, L target length, T steps,
// D hidden units, H heads, N layers, P variants, K nodes.
using at::Tensor;

/// Token ids of one text.
using TokenIds = std::vector<std::int64_t>;

}  // namespace whence
