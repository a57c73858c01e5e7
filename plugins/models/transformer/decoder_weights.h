#pragma once

#include "decoder.h"
#include "weight_reader.h"

namespace whence::transformer {

/// The tensors of a checkpoint as the parts of a decoder. Sets the vocabulary of `config` when it is not known. Throws
/// ModelError naming what is missing or of another shape.
DecoderWeights read_decoder_weights(DecoderConfig& config, WeightReader& reader);

/// Rotary positions with the divisors that a checkpoint may carry.
Rotary read_rotary(const DecoderConfig& config, WeightReader& reader);

/// Bytes of the matrices of a decoder when they are kept packed in both directions, and of one block and one slice of
/// the head, both directions, when they are not.
struct WeightBytes {
  std::int64_t resident = 0, scratch = 0;
};
WeightBytes weight_bytes(const DecoderConfig& config, const WeightPolicy& policy);

}  // namespace whence::transformer
