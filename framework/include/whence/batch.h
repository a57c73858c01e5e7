#pragma once

#include "whence/tensor.h"

namespace whence {

/// Which token sequence of a model is meant.
enum class Side { source, target };

/// One side of a batch: sequences padded at the right to the longest.
struct PaddedIds {
  Tensor ids;      ///< [B,L] int64; what stands at padded positions is never looked at
  Tensor lengths;  ///< [B] int64, on the CPU
  /// [B,L] bool: positions that no position attends to, themselves included; undefined: none. What is left with
  /// nothing to attend to mixes nothing. Only for models that `masks_attention`.
  Tensor unseen = {};

  bool defined() const { return ids.defined(); }
};

/// States that go into block `block` of a stack, in place of what the blocks before it make; N: into the final norm.
struct LayerStates {
  std::int64_t block = 0;
  Tensor states;  ///< [B,L,D] or [B,S,D]; undefined: the stack begins with its embeddings

  bool defined() const { return states.defined(); }
};

/// What a model runs on. Embeddings, when given, replace those of the ids (the ids still give shape and lengths).
struct Inputs {
  PaddedIds target;           ///< decoder tokens: prompt + continuation for decoder-only models
  PaddedIds source;           ///< encoder tokens; undefined for decoder-only models
  Tensor target_embeddings;   ///< [B,L,D] or undefined
  Tensor source_embeddings;   ///< [B,S,D] or undefined
  LayerStates target_states;  ///< of the decoder, not beside embeddings; a pass with captures or prefixes takes none
  LayerStates source_states;  ///< of the encoder, likewise
};

}  // namespace whence
