#pragma once

#include <cstdint>
#include <vector>

#include "activation.h"
#include "architecture.h"
#include "rotary_config.h"

namespace whence::transformer {

/// Whether a weight has to be in the checkpoint.
enum class Presence { never, always, if_stored };

struct LayerConfig {
  std::int64_t window = 0;  ///< a query sees this many positions up to itself; 0: all before it
  bool rotary = true;
};

/// Everything that shapes a decoder, read from an architecture and a checkpoint and checked.
struct DecoderConfig {
  std::int64_t hidden = 0, heads = 0, key_value_heads = 0, head_size = 0, inner = 0;
  std::int64_t vocabulary = 0;  ///< 0: as many rows as the embedding has
  std::int64_t positions = 0;   ///< longest text
  std::vector<LayerConfig> layers;
  double norm_epsilon = 1e-6;
  Presence attention_bias = Presence::never;  ///< of query, key and value
  Presence output_bias = Presence::never;
  Presence mlp_bias = Presence::never;
  Presence own_head = Presence::always;  ///< never: the embedding serves as the head
  bool query_key_norm = false;           ///< one norm over each head of the queries, one of the keys
  Activation activation = Activation::silu;
  RotaryConfig rotary;
};

/// Throws ModelError when the checkpoint lacks a setting or has one that is not supported.
DecoderConfig read_decoder_config(const Architecture& architecture, const HyperParameters& checkpoint);

}  // namespace whence::transformer
