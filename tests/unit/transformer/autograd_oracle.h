#pragma once

#include <optional>
#include <vector>

#include "decoder.h"

/// The decoder once more, out of libtorch's operations in double precision and one text at a time, for autograd to
/// differentiate: what the engine's explicit backward is held against. It reads the same weights as the engine.
namespace whence::transformer::oracle {

/// Backward rules as forwards that have the same values and that autograd differentiates as the rule says.
struct Rules {
  bool frozen_norms = false, frozen_softmax = false;
  double product_factor = 1, gate_factor = 1;
  const std::vector<Tensor>* reference_gates = nullptr;  ///< "deeplift": [n,I] of each layer, see Pass
};

/// x / rms(x) over the last dimension.
Tensor normalise(const Tensor& x, double epsilon, bool frozen = false);

Tensor activate(Activation activation, const Tensor& x);

/// Rows [n,Q] of positions [0, n), queries, keys and values -> mixed values [n,H*head]. `weights` takes [H,n,n].
/// `values_of`, if it returns something, replaces the values [H,n,head] that the heads of queries see.
Tensor attend(const AttentionShape& shape, const Tensor& rows, const Rules& rules = {}, Tensor* weights = nullptr,
              const std::function<Tensor(const Tensor&)>& values_of = {});

/// y = (x gain) W^T + b.
struct Linear {
  Tensor weight, gain, bias;

  explicit Linear(const Projection& projection);
  Tensor operator()(const Tensor& x) const;
};

/// Cosines and sines of rows, each [n,size / 2].
struct Angles {
  Tensor cosine, sine;
};

class Block {
 public:
  Block(const BlockShape& shape, const BlockWeights& weights);

  const BlockShape& shape() const { return shape_; }
  /// As BlockForward::heads, [n,D] -> [n,Q].
  Tensor heads(const Tensor& x, const Angles& angles, const Rules& rules = {}) const;
  /// As BlockForward::finish, x [n,D] and mixed [n,H*head] -> [n,D]. `gate` takes the gates [n,I] before the
  /// activation.
  Tensor finish(const Tensor& mixed, const Tensor& x, const Rules& rules = {}, const Tensor& reference_gate = {},
                Tensor* gate = nullptr) const;

 private:
  BlockShape shape_;
  Linear query_key_value_, output_, gate_, up_, down_;
  Tensor query_norm_, key_norm_;
};

/// One text through the blocks.
struct Pass {
  std::vector<Tensor> block_inputs;  ///< N + 1 tensors [n,D]: of every block and of the final norm
  std::vector<Tensor> heads;         ///< N tensors [n,Q]
  std::vector<Tensor> attentions;    ///< N tensors [H,n,n]
  std::vector<Tensor> gates;         ///< N tensors [n,I]
  Tensor logits;                     ///< [n,V]
};

class Decoder {
 public:
  Decoder(const DecoderConfig& config, const DecoderWeights& weights, const Rotary& rotary);

  const std::vector<Block>& blocks() const { return blocks_; }
  /// [n] int64 -> [n,D].
  Tensor embed(const Tensor& ids) const;
  /// The beginning [n,D] of a text of `length` tokens.
  Pass run(const Tensor& embeddings, std::int64_t length, const Rules& rules = {}) const;
  /// The final norm with its gain.
  Tensor final_states(const Tensor& states) const;

 private:
  DecoderConfig config_;
  std::vector<Block> blocks_;
  Tensor embedding_, final_norm_;
  Linear head_;
  Rotary rotary_;
};

/// Gradients of score_t = sum(cotangents[t] * logits[positions[t]]) at the block inputs `layers` of a text, by
/// autograd: for each of these [n,T,D]. Layer 0 is the embeddings; steps at position -1 have gradients of zero.
std::vector<Tensor> gradients(const Decoder& decoder, const Tensor& embeddings, std::int64_t length,
                              const std::vector<std::int64_t>& positions, const Tensor& cotangents,
                              const std::vector<std::int64_t>& layers, const Rules& rules = {});

}  // namespace whence::transformer::oracle
