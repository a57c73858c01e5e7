#pragma once

#include "autograd_oracle.h"
#include "checkpoint.h"
#include "decoder_weights.h"

namespace whence::transformer {

/// The decoder of a checkpoint in parts, to be made as a test wants it.
struct StoredDecoder {
  Checkpoint checkpoint;
  DecoderConfig config;
  WeightReader reader;
  DecoderWeights weights;
  Rotary rotary;

  explicit StoredDecoder(const ModelRequest& request)
      : checkpoint(request),
        config(read_decoder_config(checkpoint.architecture(), checkpoint.hyper_parameters())),
        reader(checkpoint.store(), checkpoint.weight_names()),
        weights(read_decoder_weights(config, reader)),
        rotary(read_rotary(config, reader)) {}

  oracle::Decoder for_autograd() const { return {config, weights, rotary}; }
};

}  // namespace whence::transformer
