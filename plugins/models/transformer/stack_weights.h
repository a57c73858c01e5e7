#pragma once

#include "block_weights.h"
#include "rotary.h"
#include "stack_config.h"
#include "weight_reader.h"

namespace whence::transformer {

/// The weights of a stack of blocks. Norms whose gain is not part of a projection have it.
struct StackWeights {
  StoredMatrix embedding;                 ///< [V,E]
  std::optional<Projection> project_in;   ///< [D,E] where the embeddings have another width than the blocks
  std::optional<StoredMatrix> positions;  ///< [rows,D] of learned positions
  std::optional<Norm> embedding_norm;
  std::vector<BlockWeights> blocks;
  std::optional<Norm> final_norm;
  std::vector<Rotary> rotary;  ///< as StackConfig::rotary, with the divisors that a checkpoint may carry
};

/// The weights of a decoder.
struct DecoderWeights {
  StackWeights stack;
  std::optional<Projection> project_out;  ///< [E,D], between final norm and head
  Projection head;                        ///< [V,E]
};

/// A decoder's, and those of the encoder that reads its source, if there is one.
struct TransformerWeights {
  std::optional<StackWeights> encoder;
  DecoderWeights decoder;
};

/// The tensors of a checkpoint as the parts of a model. Sets the vocabularies of `config` when they are not known.
/// Throws ModelError naming what is missing or of another shape.
TransformerWeights read_transformer_weights(TransformerConfig& config, WeightReader& reader);

/// Bytes of the matrices when they are kept packed in both directions, and of one block and one slice of the head, both
/// directions, when they are not.
struct WeightBytes {
  std::int64_t resident = 0, scratch = 0;
};
WeightBytes weight_bytes(const TransformerConfig& config, const WeightPolicy& policy);

}  // namespace whence::transformer
