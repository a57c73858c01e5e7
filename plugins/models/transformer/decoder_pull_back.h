#pragma once

#include "decoder.h"

namespace whence::transformer {

/// One traced pass of a decoder, from the input embeddings to the rows that the head reads.
struct PassTrace {
  DecoderTrace decoder;
  NormTrace final_norm;      ///< of the rows at the asked positions, [R,D]
  Tensor positions;          ///< [B,T] int64; -1: no step
  Tensor index;              ///< [R] int64: b * T + t of each row
  std::int64_t longest = 0;  ///< L
};

/// d score_t / d embedding for every step: [B,L,T,D] from cotangents [B,T,V] of the logits. Inputs only: no weight has
/// a gradient. All cotangents of a block of neighbouring steps go through the layers at once, cut after the last
/// position that any of them reads; rows that no step reads stay zero.
Tensor pull_back(const Decoder& decoder, const PassTrace& trace, const Tensor& cotangents);

}  // namespace whence::transformer
