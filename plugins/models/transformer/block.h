#pragma once

#include "activation.h"
#include "attention.h"
#include "block_weights.h"
#include "rotary.h"

namespace whence::transformer {

/// Everything that shapes one block: two norms, self-attention and a gated MLP (arXiv:2002.05202).
struct BlockShape {
  std::int64_t hidden = 0, inner = 0;
  AttentionShape attention;
  Activation activation = Activation::silu;
  double norm_epsilon = 1e-6;
  bool rotary = true;  ///< false: this layer knows no positions
};

/// What the backward of a block needs of its forward, a row for each row of the pass. Attention weights are not kept:
/// they are made again from queries and keys, since n^2 of them a head outgrow everything else in long texts.
struct BlockTrace {
  Tensor attention_normed;   ///< [R,D] x / rms(x)
  Tensor attention_inverse;  ///< [R] 1 / rms(x)
  Tensor heads;              ///< [R,Q] queries, keys and values, after norms and positions
  Tensor head_normed;        ///< [R,H+KV,head] queries and keys over their rms, of layers with norms over heads
  Tensor head_inverse;       ///< [R,H+KV]
  Tensor mlp_normed;         ///< [R,D]
  Tensor mlp_inverse;        ///< [R]
  Tensor gate, up;           ///< [R,I] before the activation
};

/// Cosines and sines of the rows of a pass.
template <class T>
class RowAngles {
 public:
  /// `lengths` are those of the whole texts of the batch.
  RowAngles(const Rotary& rotary, const std::vector<std::int64_t>& lengths, const RowLayout& layout);

  std::int64_t half() const { return half_; }
  const T* cosine(std::int64_t row) const { return cosine_.const_data_ptr<T>() + at(row); }
  const T* sine(std::int64_t row) const { return sine_.const_data_ptr<T>() + at(row); }

 private:
  std::int64_t at(std::int64_t row) const { return index_[static_cast<std::size_t>(row)] * half_; }

  Tensor cosine_, sine_;             // [tables * positions, half]
  std::vector<std::int64_t> index_;  // [R]
  std::int64_t half_ = 0;
};

/// One block over the rows of a pass.
template <class T>
class BlockForward {
 public:
  BlockForward(const BlockShape& shape, const BlockWeights& weights, const ForwardMatrices<T>& matrices)
      : shape_(shape), weights_(weights), matrices_(matrices) {}

  /// Queries, keys and values [R,Q] of the rows x [R,D], after norms and positions; fills the first part of `trace`
  /// when it is not null. `angles` may be null for a layer without positions.
  Tensor heads(const Tensor& x, const RowAngles<T>* angles, BlockTrace* trace) const;
  /// What follows attention, for any rows: adds the projected mixture [R,H*head] to x [R,D], then the MLP. Fills the
  /// second part of `trace` when it is not null.
  void finish(const Tensor& mixed, Tensor& x, BlockTrace* trace) const;

 private:
  const BlockShape& shape_;
  const BlockWeights& weights_;
  const ForwardMatrices<T>& matrices_;
};

/// How the backward of a block departs from the derivative.
struct BlockRules {
  AttentionRules attention;
  bool frozen_norms = false;
  double gate_factor = 1;                 ///< of the cotangents of both branches of activation(gate) * up
  const BlockTrace* reference = nullptr;  ///< "deeplift": the slope of the activation between this pass and the traced
};

/// The backward of one block for packed rows of cotangents.
template <class T>
class BlockPullBack {
 public:
  BlockPullBack(const BlockShape& shape, const BlockWeights& weights, const BackwardMatrices<T>& matrices,
                const BlockTrace& trace, const BlockRules& rules);

  /// Adds to c [C,D], cotangents of the block's output at traced rows `rows` [C], what comes through the MLP, and
  /// gives the cotangents of the mixed values, [C,H*head].
  Tensor through_mlp(Tensor& c, const std::vector<std::int64_t>& rows) const;
  /// Adds to c [C,D] what comes through the attention: `heads` [C,Q] are cotangents of queries, keys and values, which
  /// are overwritten.
  void through_heads(Tensor& heads, Tensor& c, const std::vector<std::int64_t>& rows, const RowAngles<T>* angles) const;

 private:
  void head_row(T* row, std::int64_t traced, const RowAngles<T>* angles) const;

  const BlockShape& shape_;
  const BlockWeights& weights_;
  const BackwardMatrices<T>& matrices_;
  const BlockTrace& trace_;
  const BlockRules& rules_;
  Tensor gate_slope_, activated_;  // [R,I] factors of the two inner cotangents
};

}  // namespace whence::transformer
