#pragma once

#include "decoder.h"

namespace whence::transformer {

/// A row that the head read: the state of `text` at `position` gives the logits of step `step`.
struct ReadRow {
  std::int64_t text = 0, step = 0, position = 0;
  std::int64_t row = 0;  ///< of the pass
};

/// One traced pass of a decoder, from the input embeddings to the rows that the head reads.
struct PassTrace {
  DecoderTrace decoder;
  std::vector<ReadRow> read;  ///< [S], by text, then by step
  Tensor final_normed;        ///< [S,D] read rows over their rms
  Tensor final_inverse;       ///< [S] 1 / rms
};

/// How a backward departs from the derivative.
struct DecoderRules {
  AttentionRules attention;
  bool frozen_norms = false;
  double gate_factor = 1;
  const PassTrace* reference = nullptr;  ///< pass over the same rows, for "deeplift"
};

/// Cotangents packed by text and, within a text, by position: the steps that are read there or later stand next to each
/// other.
struct PackedCotangents {
  std::vector<CotangentSteps> texts;
  std::int64_t rows = 0;       ///< C
  Tensor embeddings;           ///< [C,D]
  std::vector<Tensor> layers;  ///< [C,D] each, as asked
};

/// d score_t / d embedding for steps [first_step, first_step + T') from cotangents [B,T',V] of their logits, and the
/// same at the inputs of `layers` (N: the input of the final norm). Inputs only: no weight has a gradient. All
/// cotangents go through a layer before the next one is touched; none is carried behind the position it is read at.
template <class T>
PackedCotangents pull_back(const Decoder<T>& decoder, const PassTrace& trace, const Tensor& cotangents,
                           std::int64_t first_step, const std::vector<std::int64_t>& layers, const DecoderRules& rules);

}  // namespace whence::transformer
