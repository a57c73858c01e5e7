#pragma once

#include "attention_gradients.h"
#include "decoder.h"

namespace whence::transformer {

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
  Tensor embeddings;           ///< [C,E] if asked
  std::vector<Tensor> layers;  ///< [C,D] each, as asked
};

/// Those of a decoder, and of the source it looks at, where every step has all positions of its source.
struct PulledBack {
  PackedCotangents target, source;
};

/// Where the backward of a stack is to leave cotangents; it ends at the lowest of these places.
struct PullBackEnds {
  bool embeddings = true;
  std::vector<std::int64_t> layers;  ///< blocks whose inputs are meant; N: what comes out of the last one

  bool any() const { return embeddings || !layers.empty(); }
  /// The lowest block of `count` to go through, `first` being where the pass began.
  std::int64_t lowest(std::int64_t first, std::int64_t count) const;
};

/// d score_t / d embedding for steps [first_step, first_step + T') from cotangents [B,T',V] of their logits, and the
/// same at layers. Inputs only: no weight has a gradient. All cotangents go through a layer before the next one is
/// touched; none is carried behind the position it is read at. Unless `encoder` is null, the source that the decoder
/// looks at is pulled back, too, once for all steps. A decoder of which nothing is wanted is gone through for the sake
/// of its source. `attentions`, unless it is empty, is shown all attentions, their steps counted from `first_step`;
/// those of the source by itself where that is pulled back. With `of_states` the cotangents [B,T',D] are those of the
/// states behind the final norm. So many neighbouring steps as are `together` are carried as one. Throws ModelError
/// when cotangents are not finite, naming the layer.
template <class T>
PulledBack pull_back(const Decoder<T>& decoder, const Stack<T>* encoder, const PassTrace& trace,
                     const Tensor& cotangents, std::int64_t first_step, const PullBackEnds& target,
                     const PullBackEnds& source, const DecoderRules& rules, const AttentionVisitor& attentions = {},
                     bool of_states = false, std::int64_t together = 1);

}  // namespace whence::transformer
