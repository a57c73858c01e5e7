#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "norm.h"
#include "packed_once.h"
#include "projection.h"

namespace whence::transformer {

/// How weights are held and multiplied.
struct WeightPolicy {
  Precision forward = Precision::full, backward = Precision::full;
  bool resident = true;  ///< packed once and kept; else packed for every pass, layer by layer, from where they lie
};

/// The norms around one branch of a block, as far as there are any.
struct BranchNorms {
  std::optional<Norm> before;  ///< of the stream, in front of the branch
  std::optional<Norm> input;   ///< of what the branch reads; its gain is part of the projections unless it has a bias
  std::optional<Norm> branch;  ///< of what the branch adds
  std::optional<Norm> after;   ///< of the stream, behind the addition
};

struct AttentionWeights {
  Projection query_key_value;                ///< queries of all heads, keys, values
  Projection output;                         ///< [D,H*head]
  std::optional<Norm> query_norm, key_norm;  ///< gain and bias over all heads: [H*head], [KV*head]
  Tensor relative_bias;                      ///< [H,buckets] or undefined
};

/// Attention of a decoder to the states of its encoder.
struct CrossWeights {
  Projection query;
  Projection key_value;  ///< keys of all heads, values; reads the encoder's states
  Projection output;
};

struct MlpWeights {
  std::optional<Projection> gate;  ///< of gated networks
  Projection up, down;
};

struct ExpertsWeights {
  Projection router;  ///< [E,D]
  std::vector<MlpWeights> experts;
  std::optional<MlpWeights> shared;
  std::optional<Projection> shared_gate;  ///< [1,D]
};

/// The weights of one block.
struct BlockWeights {
  BranchNorms attention_norms;
  AttentionWeights attention;
  BranchNorms cross_norms;
  std::optional<CrossWeights> cross;
  BranchNorms mlp_norms;
  std::optional<MlpWeights> mlp;          ///< without experts
  std::optional<ExpertsWeights> experts;  ///< instead
};

/// Right factors of a feed-forward network in the forward; no gate where there is none.
template <class T>
struct MlpForwardMatrices {
  PackedMatrix<T> gate, up, down;
};
/// Right factors in the backward; gate and up are one above the other.
template <class T>
struct MlpBackwardMatrices {
  PackedMatrix<T> gate_up, down;
};

/// Right factors of one block in the forward.
template <class T>
struct ForwardMatrices {
  PackedMatrix<T> query_key_value, output;
  PackedMatrix<T> cross_query, cross_key_value, cross_output;
  MlpForwardMatrices<T> mlp;  ///< or the shared expert
  PackedMatrix<T> router, shared_gate;
  std::vector<MlpForwardMatrices<T>> experts;
};

/// Right factors of one block in the backward.
template <class T>
struct BackwardMatrices {
  PackedMatrix<T> query_key_value, output;
  PackedMatrix<T> cross_query, cross_key_value, cross_output;
  MlpBackwardMatrices<T> mlp;
  PackedMatrix<T> router, shared_gate;
  std::vector<MlpBackwardMatrices<T>> experts;
};

/// The matrices of all blocks, ready for products. [thread: any]
template <class T>
class PackedBlocks {
 public:
  PackedBlocks(std::vector<BlockWeights> blocks, WeightPolicy policy);

  const std::vector<BlockWeights>& weights() const { return blocks_; }
  const WeightPolicy& policy() const { return policy_; }

  /// Matrices of one layer: those kept, else packed into `scratch`, which the next layer may use again.
  const ForwardMatrices<T>& forward(std::size_t layer, ForwardMatrices<T>& scratch) const;
  const BackwardMatrices<T>& backward(std::size_t layer, BackwardMatrices<T>& scratch) const;

 private:
  struct Kept {
    PackedOnce<ForwardMatrices<T>> forward;
    PackedOnce<BackwardMatrices<T>> backward;
  };

  std::vector<BlockWeights> blocks_;
  WeightPolicy policy_;
  std::vector<std::unique_ptr<Kept>> kept_;
};

}  // namespace whence::transformer
