#pragma once

#include <vector>

#include "block.h"
#include "decoder_config.h"
#include "head.h"

namespace whence::transformer {

/// What the backward of a whole pass needs of its forward.
struct DecoderTrace {
  RowLayout layout;
  std::vector<std::int64_t> lengths;
  std::vector<BlockTrace> blocks;
};

/// What a pass through the blocks runs over and is to bring along.
struct DecoderPass {
  const RowLayout& layout;
  const std::vector<std::int64_t>& lengths;     ///< whole length of every text of the batch
  std::vector<Tensor>* attentions = nullptr;    ///< takes N tensors [B,H,L,L], L the longest text
  std::vector<Tensor>* block_inputs = nullptr;  ///< takes N tensors [R,D]
  DecoderTrace* trace = nullptr;
  KeyValues* keep = nullptr;  ///< takes keys and values of all rows
};

/// The weights of a decoder.
struct DecoderWeights {
  StoredMatrix embedding;  ///< [V,D]
  std::vector<BlockWeights> blocks;
  Tensor final_norm;  ///< [D] gain
  Projection head;    ///< with the gain of the final norm
};

/// A stack of blocks with its embedding and head. T is float, or double for checking. Immutable once made. [thread:
/// any]
template <class T>
class Decoder {
 public:
  Decoder(DecoderConfig config, DecoderWeights weights, Rotary rotary, WeightPolicy policy);

  const DecoderConfig& config() const { return config_; }
  const BlockShape& shape(std::size_t layer) const { return shapes_[layer]; }
  const PackedBlocks<T>& blocks() const { return blocks_; }
  const Rotary& rotary() const { return rotary_; }
  const Head<T>& head() const { return head_; }
  std::int64_t vocabulary() const { return embedding_.out(); }

  /// [n] int64 -> [n,D]. Every id must be inside the vocabulary.
  Tensor embed(const Tensor& ids) const;
  /// The blocks over rows [R,D]: what comes out of the last one. Throws ModelError when numbers are not finite, naming
  /// the first layer where they are not.
  Tensor run(const Tensor& embeddings, const DecoderPass& pass) const;
  /// Rows [n,D] over their rms, and 1 / rms [n] when asked for: the final norm without its gain, as `head` takes it.
  Tensor normalise_rows(const Tensor& states, Tensor* inverse = nullptr) const;
  /// The final norm with its gain, [n,D].
  Tensor final_states(const Tensor& states) const { return normalise_rows(states) * final_norm_; }

 private:
  DecoderConfig config_;
  std::vector<BlockShape> shapes_;
  StoredMatrix embedding_;
  PackedBlocks<T> blocks_;
  Tensor final_norm_;
  Head<T> head_;
  Rotary rotary_;
};

}  // namespace whence::transformer
