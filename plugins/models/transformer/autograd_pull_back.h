#pragma once

#include <cstdint>
#include <vector>

#include "decoder.h"
#include "whence/forward.h"

namespace whence::transformer {

/// The graph of one traced pass, from the input embeddings to the rows that the head reads.
class AutogradTrace : public Trace {
 public:
  Tensor embeddings;  ///< [B,L,D] leaf
  Tensor rows;        ///< [R,D] normalised rows at the asked positions, in the order of `index`; undefined when R is 0
  Tensor index;       ///< [R] int64: b * T + t of each row
  std::int64_t steps = 0;
};

/// d score_t / d embedding for every step: [B,L,T,D] from cotangents [B,T,V] of the logits. One pass through the graph
/// a step; the head is passed once for all of them. The trace stays usable.
Tensor pull_back_by_autograd(const Decoder& decoder, const AutogradTrace& trace, const Tensor& cotangents);

}  // namespace whence::transformer
