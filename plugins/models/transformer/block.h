#pragma once

#include "attention.h"
#include "block_weights.h"
#include "dropout.h"
#include "experts.h"
#include "mlp.h"
#include "rotary.h"
#include "stack_config.h"
#include "traced_norm.h"

namespace whence::transformer {

/// Everything that shapes one block: attention, in a decoder with a source a second one to the source, and a
/// feed-forward network.
struct BlockShape {
  std::int64_t hidden = 0;
  AttentionShape attention;
  AttentionShape cross;  ///< of blocks that have one
  HeadNorm head_norm = HeadNorm::none;
  double clamp = 0;         ///< of queries, keys and values; 0: none
  std::int64_t rotary = 0;  ///< which rotary positions; -1: none
  BlockLayout layout;
  MlpConfig mlp;
  ExpertsConfig experts;  ///< of blocks that have some

  BlockShape() = default;
  BlockShape(const StackConfig& config, std::size_t layer, Sight sight);
};

/// Traces of the norms that a branch has; see BranchNorms.
struct BranchTrace {
  NormTrace before, input, branch, after;
};

/// What the backward of a block needs of its forward, a row for each row of the pass. Attention weights are not kept:
/// they are made again from queries and keys, since n^2 of them a head outgrow everything else in long texts.
struct BlockTrace {
  BranchTrace attention;
  Tensor heads;         ///< [R,Q] queries, keys and values, after norms and positions
  Tensor unturned;      ///< [R,Q] before positions, where they are clamped
  Tensor head_normed;   ///< [R,queries + keys] without mean and deviation, of layers with norms over heads
  Tensor head_inverse;  ///< [R,groups of both]
  BranchTrace cross;
  Tensor cross_queries;  ///< [R,H*head]
  BranchTrace mlp;
  MlpTrace inner;
  ExpertsTrace experts;
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

/// What one block of a pass with dropout drops.
struct BlockDropout {
  const DropoutMasks* masks = nullptr;  ///< null: nothing
  const RowLayout* layout = nullptr;
  std::size_t layer = 0;

  /// What [count, width] numbers of rows from `first` on are multiplied by; empty: nothing is dropped there.
  template <class T>
  std::vector<T> of_rows(DropoutSite site, std::int64_t first, std::int64_t count, std::int64_t width) const;
};

/// One block over the rows of a pass.
template <class T>
class BlockForward {
 public:
  BlockForward(const BlockShape& shape, const BlockWeights& weights, const ForwardMatrices<T>& matrices,
               const BlockDropout& dropout = {})
      : shape_(shape), weights_(weights), matrices_(matrices), dropout_(dropout) {}

  /// Queries, keys and values [R,Q] of the rows x [R,D], after norms and positions; fills its part of `trace` when it
  /// is not null. `angles` may be null for a layer without positions. x changes where the stream is normed first.
  Tensor heads(Tensor& x, const RowAngles<T>* angles, BlockTrace* trace) const;
  /// Adds the projected mixture [R,H*head] of the attention to x [R,D]: queries [R,H*head] to the source.
  Tensor cross_queries(const Tensor& mixed, Tensor& x, BlockTrace* trace) const;
  /// Keys and values [R',2 KV*head] of the states [R',D'] of a source.
  Tensor cross_key_values(const Tensor& states) const;
  /// What follows the last attention, for any rows: adds its projected mixture [R,H*head] to x [R,D], then what the
  /// feed-forward network makes.
  void finish(const Tensor& mixed, Tensor& x, BlockTrace* trace) const;

 private:
  struct Workspace;

  bool crosses() const { return weights_.cross.has_value(); }
  /// Adds the projected mixture of an attention to x, for rows [first, first + count).
  void add_attention(const BranchNorms& norms, const Projection& projection, const PackedMatrix<T>& matrix,
                     const Tensor& mixed, std::int64_t first, std::int64_t count, Tensor& x, BranchTrace* trace,
                     DropoutSite site, Workspace& own) const;

  const BlockShape& shape_;
  const BlockWeights& weights_;
  const ForwardMatrices<T>& matrices_;
  BlockDropout dropout_;
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

  /// Adds to c [C,D], cotangents of the block's output at traced rows `rows` [C], what comes through the feed-forward
  /// network, and gives the cotangents of what the last attention mixed, [C,H*head].
  Tensor through_mlp(Tensor& c, const std::vector<std::int64_t>& rows) const;
  /// Adds to c [C,D] what comes through the queries to the source, [C,H*head], and gives the cotangents of what the
  /// first attention mixed, [C,H*head].
  Tensor through_cross(const Tensor& queries, Tensor& c, const std::vector<std::int64_t>& rows) const;
  /// Adds to c [C',D'], cotangents of a source's states, those that come through keys and values [C',2 KV*head].
  void through_key_values(const Tensor& key_values, Tensor& c) const;
  /// Adds to c [C,D] what comes through the attention: `heads` [C,Q] are cotangents of queries, keys and values, which
  /// are overwritten.
  void through_heads(Tensor& heads, Tensor& c, const std::vector<std::int64_t>& rows, const RowAngles<T>* angles) const;

 private:
  struct Workspace;

  /// From the cotangents c of the stream behind a branch, for one tile: c becomes that of the sum, and `own.made` that
  /// of what the branch made.
  void through_addition(const BranchNorms& norms, const BranchTrace& trace, const std::int64_t* rows,
                        std::int64_t count, T* c, Workspace& own) const;
  /// From cotangents `own.made` of a branch's input, for one tile: adds them to c, through the input's norm, then
  /// through the norm of the stream.
  void through_input(const BranchNorms& norms, const BranchTrace& trace, const std::int64_t* rows, std::int64_t count,
                     T* c, Workspace& own) const;
  void head_row(T* row, std::int64_t traced, const RowAngles<T>* angles) const;
  /// `own.made` times a matrix, into rows of `out`.
  void project_made(const PackedMatrix<T>& matrix, std::int64_t count, T* out, Workspace& own) const;

  const BlockShape& shape_;
  const BlockWeights& weights_;
  const BackwardMatrices<T>& matrices_;
  const BlockTrace& trace_;
  const BlockRules& rules_;
  std::optional<MlpPullBack<T>> mlp_;
  std::optional<ExpertsPullBack<T>> experts_;
};

}  // namespace whence::transformer
