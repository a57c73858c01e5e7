#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "decoder.h"

/// The decoder once more, out of libtorch's operations in double precision and one text at a time, for autograd to
/// differentiate: what the engine's explicit backward is held against. It reads the same weights as the engine.
namespace whence::transformer::oracle {

/// Backward rules as forwards that have the same values and that autograd differentiates as the rule says.
struct Rules {
  bool frozen_norms = false, frozen_softmax = false;
  double product_factor = 1, gate_factor = 1, softmax_temperature = 1;
  const std::vector<Tensor>* reference_gates = nullptr;  ///< "deeplift": [n,I] of each layer, see Pass
  std::vector<Tensor>* weights = nullptr;                ///< takes [H,n,m] of every attention, for gradients at them
};

/// A norm over the last dimension of rows [n,...], whose gain and bias, if there are any, have a number for each
/// channel of a row.
Tensor normalise(const Norm& norm, const Tensor& x, bool frozen = false);

Tensor activate(Activation activation, const Tensor& x);

/// What is added to the scores of n queries with n keys, [H,n,n]; undefined without such biases. `relative` [H,buckets]
/// are the learned ones, `causal` says whether keys behind a query count as distance 0.
Tensor score_bias(const AttentionConfig& config, const Tensor& relative, bool causal, std::int64_t n);

/// Queries [n,H*head] over keys and values [m,2 KV*head] -> mixed values [n,H*head]; with causal sight n = m. `bias`
/// [H,n,m] may be undefined. `weights` takes [H,n,m]. `values_of`, if it returns something, replaces the values
/// [H,m,head] that the heads of queries see.
Tensor attend(const AttentionShape& shape, const Tensor& queries, const Tensor& key_values, const Tensor& bias = {},
              const Rules& rules = {}, Tensor* weights = nullptr,
              const std::function<Tensor(const Tensor&)>& values_of = {});
/// Queries, keys and values side by side, [n,Q].
Tensor attend_rows(const AttentionShape& shape, const Tensor& rows, const Tensor& bias = {}, const Rules& rules = {},
                   Tensor* weights = nullptr, const std::function<Tensor(const Tensor&)>& values_of = {});

/// y = (x gain) W^T + b.
struct Linear {
  Tensor weight, gain, bias;

  explicit Linear(const Projection& projection);
  Tensor operator()(const Tensor& x) const;
};

/// A feed-forward network.
class Mlp {
 public:
  Mlp(const MlpConfig& config, const MlpWeights& weights);

  /// [n,D] -> [n,D]. `before` takes what goes into the activation, [n,I]; `reference`, if it is defined, is the same of
  /// another pass, for "deeplift".
  Tensor operator()(const Tensor& x, const Rules& rules, const Tensor& reference = {}, Tensor* before = nullptr) const;

 private:
  MlpConfig config_;
  std::optional<Linear> gate_;
  Linear up_, down_;
};

/// A mixture of experts, each of which is run on every row.
class Experts {
 public:
  Experts(const ExpertsConfig& config, const ExpertsWeights& weights);

  /// [n,D] -> [n,D].
  Tensor operator()(const Tensor& x, const Rules& rules = {}) const;

 private:
  /// [n,E], zero for experts that a row does not take.
  Tensor weights_of(const Tensor& logits) const;

  ExpertsConfig config_;
  Linear router_;
  std::vector<Mlp> experts_;
  std::optional<Mlp> shared_;
  std::optional<Linear> shared_gate_;
};

/// Cosines and sines of rows, each [n,size / 2]; undefined without rotary positions.
struct Angles {
  Tensor cosine, sine;
};

class Block {
 public:
  Block(const StackConfig& config, std::size_t layer, const BlockWeights& weights);

  const AttentionShape& attention() const { return attention_; }
  /// As BlockForward::heads, [n,D] -> [n,Q]; x becomes what the attention's result is added to.
  Tensor heads(Tensor& x, const Angles& angles, const Rules& rules = {}) const;
  /// The stream behind the attention, x [n,D] and mixed [n,H*head] -> [n,D].
  Tensor behind_attention(const Tensor& mixed, const Tensor& x, const Rules& rules = {}) const {
    return add(attention_norms_, x, output_(mixed), rules);
  }
  /// As BlockForward::finish, x [n,D] and mixed [n,H*head] -> [n,D]. `gate` takes what goes into the activation of the
  /// feed-forward network, [n,I].
  Tensor finish(const Tensor& mixed, const Tensor& x, const Rules& rules = {}, const Tensor& reference_gate = {},
                Tensor* gate = nullptr) const;

 private:
  Tensor read(const BranchNorms& norms, Tensor& x, const Rules& rules) const;
  Tensor add(const BranchNorms& norms, const Tensor& x, Tensor made, const Rules& rules) const;

  AttentionConfig attention_config_;
  BlockLayout layout_;
  AttentionShape attention_;
  BranchNorms attention_norms_, mlp_norms_;
  Linear query_key_value_, output_;
  std::optional<Norm> query_norm_, key_norm_;
  std::optional<Mlp> mlp_;
  std::optional<Experts> experts_;
};

/// One text through the blocks.
struct Pass {
  std::vector<Tensor> block_inputs;  ///< N + 1 tensors [n,D]: of every block and of the final norm
  std::vector<Tensor> streams;       ///< N tensors [n,D]: what the attention's result is added to
  std::vector<Tensor> heads;         ///< N tensors [n,Q]
  std::vector<Tensor> biases;        ///< N tensors [H,n,n], undefined without biases of scores
  std::vector<Tensor> attentions;    ///< N tensors [H,n,n]
  std::vector<Tensor> gates;         ///< N tensors [n,I], undefined for experts
  Tensor logits;                     ///< [n,V]
};

class Decoder {
 public:
  Decoder(const DecoderConfig& config, const DecoderWeights& weights);

  const std::vector<Block>& blocks() const { return blocks_; }
  /// [n] int64 -> [n,E].
  Tensor embed(const Tensor& ids) const;
  /// The beginning [n,E] of a text of `length` tokens.
  Pass run(const Tensor& embeddings, std::int64_t length, const Rules& rules = {}) const;
  /// The final norm.
  Tensor final_states(const Tensor& states, const Rules& rules = {}) const;

 private:
  Tensor first_states(const Tensor& embeddings, const Rules& rules) const;
  Tensor position_rows(std::int64_t count) const;

  DecoderConfig config_;
  std::vector<Block> blocks_;
  std::vector<Tensor> relative_;
  Tensor embedding_, positions_;
  std::optional<Linear> project_in_, project_out_;
  std::optional<Norm> embedding_norm_, final_norm_;
  Linear head_;
  std::vector<Rotary> rotary_;
};

/// Gradients of score_t = sum(cotangents[t] * logits[positions[t]]) at the inputs of the blocks `layers` of a text, by
/// autograd, for each of these [n,T,D], then at the embeddings, [n,T,E]. Steps at position -1 have gradients of zero.
std::vector<Tensor> gradients(const Decoder& decoder, const Tensor& embeddings, std::int64_t length,
                              const std::vector<std::int64_t>& positions, const Tensor& cotangents,
                              const std::vector<std::int64_t>& layers, const Rules& rules = {});

}  // namespace whence::transformer::oracle
