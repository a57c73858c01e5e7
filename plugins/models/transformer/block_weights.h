#pragma once

#include <memory>
#include <vector>

#include "packed_once.h"
#include "projection.h"

namespace whence::transformer {

/// How weights are held and multiplied.
struct WeightPolicy {
  Precision forward = Precision::full, backward = Precision::full;
  bool resident = true;  ///< packed once and kept; else packed for every pass, layer by layer, from where they lie
};

/// The weights of one block; the gains of its two norms are part of `query_key_value`, `gate` and `up`.
struct BlockWeights {
  Projection query_key_value;  ///< queries of all heads, keys, values
  Projection output;
  Projection gate, up, down;
  Tensor query_norm, key_norm;  ///< [head] gains of norms over each head; undefined without
};

/// Right factors of one block in the forward.
template <class T>
struct ForwardMatrices {
  PackedMatrix<T> query_key_value, output, gate, up, down;
};

/// Right factors of one block in the backward; gate and up are one above the other.
template <class T>
struct BackwardMatrices {
  PackedMatrix<T> query_key_value, output, gate_up, down;
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

  void pack(const BlockWeights& block, ForwardMatrices<T>& into) const;
  void pack(const BlockWeights& block, BackwardMatrices<T>& into) const;

  std::vector<BlockWeights> blocks_;
  WeightPolicy policy_;
  std::vector<std::unique_ptr<Kept>> kept_;
};

}  // namespace whence::transformer
