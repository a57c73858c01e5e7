#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "activation.h"
#include "architecture.h"
#include "norm.h"
#include "rotary_config.h"

namespace whence::transformer {

/// Whether a weight has to be in the checkpoint.
enum class Presence { never, always, if_stored };

/// What norms over queries and keys run over.
enum class HeadNorm {
  none,
  each,  ///< each head, all with the same gain
  own,   ///< each head, with a gain of its own
  all,   ///< all heads together
};

/// Biases of attention scores that depend on positions alone.
enum class PositionBias { none, alibi, alibi_rounded, alibi_padded, relative };

struct AttentionConfig {
  std::int64_t heads = 0, key_value_heads = 0, head_size = 0;
  double scale = 0;             ///< of the products of queries and keys
  bool scale_by_layer = false;  ///< divided by the number of the layer, from 1
  double softcap = 0;           ///< scores become softcap tanh(score / softcap); 0: they stay
  double clamp = 0;             ///< queries, keys and values are cut at +- this; 0: they are not
  HeadNorm norm = HeadNorm::none;
  NormKind norm_kind = NormKind::rms;
  Presence norm_bias = Presence::never;
  Presence bias = Presence::never;  ///< of query, key and value
  Presence output_bias = Presence::never;
  PositionBias position_bias = PositionBias::none;
  std::int64_t relative_buckets = 0, relative_distance = 0;  ///< of the relative bias (arXiv:1910.10683)
  bool relative_in_every_layer = false;                      ///< else that of the first layer serves all
};

/// A feed-forward network: down(activation(up x)), or gated down(activation(gate x) * up x) (arXiv:2002.05202).
struct MlpConfig {
  std::int64_t inner = 0;
  Activation activation = Activation::silu;
  bool gated = true;
  Presence bias = Presence::never;
};

/// How the weights of the chosen experts come from the router's logits.
enum class Routing {
  softmax_first,  ///< softmax over all experts, then the largest
  top_first,      ///< softmax over the largest logits alone
};

/// A router with experts of which each token takes a few (arXiv:1701.06538).
struct ExpertsConfig {
  std::int64_t count = 0;   ///< 0: no experts
  std::int64_t chosen = 0;  ///< experts of each token
  Routing routing = Routing::softmax_first;
  double normalise = 0;           ///< weights of the chosen are divided by their norm of this order; 0: they are not
  double output_scale = 1;        ///< of what the chosen experts make
  MlpConfig each;                 ///< every expert
  std::int64_t shared_inner = 0;  ///< of an expert that all tokens take; 0: none
  bool shared_gate = false;       ///< the shared expert is weighed by sigmoid(gate x)
};

struct LayerConfig {
  std::int64_t window = 0;  ///< a query sees this many positions up to itself; 0: all before it
  std::int64_t rotary = 0;  ///< which of the rotary positions turn it; -1: none
  bool experts = false;     ///< instead of one MLP
};

/// Vectors that are added to the embeddings, by position.
enum class PositionEmbedding {
  none,
  learned,
  sines_then_cosines,  ///< rates 10000^(-i / (d / 2 - 1)), sines in the first half
  sinusoid_pairs,      ///< angles position / 10000^(2 i / d), sines in the first half
};

/// Where the norms of a block are and what its branches read.
struct BlockLayout {
  bool parallel = false;            ///< the MLP reads what the attention reads, not its result
  bool shared_norm = false;         ///< of parallel branches
  bool input_norms = true;          ///< norms in front of the branches
  bool branch_norms = false;        ///< norms behind the branches
  bool stream_norms = false;        ///< norms of the stream behind each addition ("post norm"), instead of input norms
  bool residual_from_norm = false;  ///< what the branches read, normed, is also what they are added to
  double branch_scale = 1;          ///< of what a branch adds
};

/// Probabilities that training drops a number with.
struct DropoutConfig {
  double embedding = 0;  ///< of what goes into the first block
  double attention = 0;  ///< of attention weights
  double branch = 0;     ///< of what a branch adds
  double inner = 0;      ///< of what the last projection of a feed-forward network reads
  double output = 0;     ///< of what the final norm makes

  bool any() const { return embedding > 0 || attention > 0 || branch > 0 || inner > 0 || output > 0; }
};

/// Everything that shapes a stack of blocks, read from an architecture and a checkpoint and checked.
struct StackConfig {
  std::int64_t hidden = 0;
  std::int64_t width = 0;       ///< of the embeddings; projected where it is not `hidden`
  std::int64_t vocabulary = 0;  ///< 0: as many rows as the embedding has
  std::int64_t positions = 0;   ///< longest text
  std::vector<LayerConfig> layers;
  BlockLayout block;
  Norm norm;  ///< kind and epsilon of every norm over rows
  Presence norm_gain = Presence::always, norm_bias = Presence::never;
  AttentionConfig attention;
  MlpConfig mlp;
  ExpertsConfig experts;
  std::vector<RotaryConfig> rotary;
  PositionEmbedding position_embedding = PositionEmbedding::none;
  std::int64_t position_offset = 0;  ///< row of the first position in the table
  double embedding_scale = 1;        ///< of embeddings as they are looked up
  double input_scale = 1;            ///< of embeddings as the stack takes them
  bool embedding_norm = false;
  bool final_norm = true;
  DropoutConfig dropout;
};

/// A stack with causal attention and a head.
struct DecoderConfig : StackConfig {
  Presence own_head = Presence::always;  ///< never: the embedding serves as the head
  Presence head_bias = Presence::never;
  double logit_scale = 1;
  double logit_softcap = 0;  ///< logits become softcap tanh(logit / softcap); 0: they stay
};

/// A decoder, and the encoder that reads its source, if there is one.
struct TransformerConfig {
  std::optional<StackConfig> encoder;
  DecoderConfig decoder;
};

/// Throws ModelError when the checkpoint lacks a setting or has one that is not supported.
TransformerConfig read_transformer_config(const Architecture& architecture, const HyperParameters& checkpoint);

}  // namespace whence::transformer
