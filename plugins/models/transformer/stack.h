#pragma once

#include <optional>
#include <vector>

#include "block.h"
#include "linear.h"
#include "stack_config.h"
#include "stack_weights.h"

namespace whence::transformer {

/// What the backward of a pass through the blocks needs of its forward.
struct StackTrace {
  RowLayout layout;
  std::vector<std::int64_t> lengths;
  NormTrace embedding_norm;
  std::int64_t first_block = 0;    ///< where the pass began
  std::vector<BlockTrace> blocks;  ///< of all blocks; those before the first are empty
};

/// States at the inputs of some blocks, N being what comes out of the last one.
struct StackStates {
  std::vector<std::int64_t> blocks;
  std::vector<Tensor> rows;  ///< [R,D] each
};

/// What a pass through the blocks runs over and is to bring along.
struct StackPass {
  const RowLayout& layout;
  const std::vector<std::int64_t>& lengths;   ///< whole length of every text of the batch
  const RowLayout* source = nullptr;          ///< of blocks that look at a source: the same rows behind its positions
  std::vector<Tensor>* attentions = nullptr;  ///< takes N tensors [B,H,L,L], L the longest text
  std::vector<Tensor>* cross_attentions = nullptr;  ///< takes N tensors [B,H,L,S], S the longest source
  std::vector<Tensor>* block_inputs = nullptr;      ///< takes N tensors [R,D]
  StackStates* states = nullptr;                    ///< takes those that it names
  StackTrace* trace = nullptr;
  KeyValues* keep = nullptr;  ///< takes keys and values of all rows
  const DropoutMasks* dropout = nullptr;
};

template <class T>
class Stack;

/// What the blocks of one pass know of positions.
template <class T>
class PassPositions {
 public:
  PassPositions(const Stack<T>& stack, const std::vector<std::int64_t>& lengths, const RowLayout& layout);

  /// Null for a layer without rotary positions.
  const RowAngles<T>* angles(std::size_t layer) const;
  /// Null for a layer without biases of its scores.
  const ScoreBias<T>* bias(std::size_t layer) const;

 private:
  const Stack<T>& stack_;
  std::vector<RowAngles<T>> angles_;
  std::vector<ScoreBias<T>> biases_;  // one, or one for each layer
};

/// A stack of blocks with what makes their input of embeddings. T is float, or double for checking. Immutable once
/// made. [thread: any]
template <class T>
class Stack {
 public:
  /// `sight` is that of the attention within the stack.
  Stack(StackConfig config, StackWeights weights, WeightPolicy policy, Sight sight);

  const StackConfig& config() const { return config_; }
  std::size_t layers() const { return shapes_.size(); }
  const BlockShape& shape(std::size_t layer) const { return shapes_[layer]; }
  const PackedBlocks<T>& blocks() const { return blocks_; }
  const std::vector<Rotary>& rotary() const { return rotary_; }
  std::int64_t vocabulary() const { return embedding_.out(); }

  /// [n] int64 -> [n,E]. Every id must be inside the vocabulary.
  Tensor embed(const Tensor& ids) const;
  /// Embeddings [R,E] -> input of the first block, [R,D].
  Tensor first_states(const Tensor& embeddings, const RowLayout& layout, StackTrace* trace) const;
  /// The same backwards, for packed rows of cotangents [C,D] of traced rows `rows` -> [C,E].
  Tensor to_embeddings(Tensor cotangents, const std::vector<std::int64_t>& rows, const StackTrace& trace,
                       bool frozen_norms) const;
  /// The blocks over embeddings [R,E]: what comes out of the last one, [R,D]. Throws ModelError when numbers are not
  /// finite, naming the first layer where they are not.
  Tensor run(const Tensor& embeddings, const StackPass& pass) const;
  /// The same over states [R,D], from block `first_block` on, which may be N.
  Tensor run_from(std::int64_t first_block, const Tensor& states, const StackPass& pass) const;
  /// Keys and values [R',2 KV*head] that every layer makes of the states [R',D'] of a source.
  std::vector<Tensor> cross_key_values(const Tensor& states) const;
  /// The final norm, [n,D]; fills `trace` unless it is null. The layout of `dropout` is that of the states.
  Tensor final_states(const Tensor& states, NormTrace* trace = nullptr, const BlockDropout& dropout = {}) const;
  /// The same backwards: `rows` are those of the trace, as many as there are cotangents [n,D].
  Tensor through_final_norm(const Tensor& cotangents, const std::vector<std::int64_t>& rows, const NormTrace& trace,
                            bool frozen) const;

 private:
  void add_positions(const RowLayout& layout, Tensor& x) const;
  Tensor run_blocks(std::size_t first_block, Tensor x, const StackPass& pass) const;
  void drop(const BlockDropout& dropout, DropoutSite site, Tensor& x) const;
  Tensor norm_rows(const Norm& norm, const Tensor& rows, NormTrace* trace) const;

  StackConfig config_;
  std::vector<BlockShape> shapes_;
  StoredMatrix embedding_;
  std::optional<Linear<T>> project_in_;
  std::optional<StoredMatrix> positions_;
  std::optional<Norm> embedding_norm_;
  PackedBlocks<T> blocks_;
  std::optional<Norm> final_norm_;
  std::vector<Rotary> rotary_;
};

}  // namespace whence::transformer
