#pragma once

#include "autograd_oracle.h"
#include "checkpoint.h"
#include "stack_weights.h"

namespace whence::transformer {

/// The decoder of a checkpoint in parts, to be made as a test wants it.
struct StoredDecoder {
  Checkpoint checkpoint;
  TransformerConfig config;
  WeightReader reader;
  TransformerWeights weights;

  explicit StoredDecoder(const ModelRequest& request)
      : checkpoint(request),
        config(read_transformer_config(checkpoint.architecture(), checkpoint.hyper_parameters())),
        reader(checkpoint.store(), checkpoint.weight_names()),
        weights(read_transformer_weights(config, reader)) {}

  oracle::Decoder for_autograd() const { return {config.decoder, weights.decoder}; }
};

}  // namespace whence::transformer
