#pragma once

#include <vector>

#include "block.h"
#include "decoder_config.h"

namespace whence::transformer {

/// What the backward of a whole pass needs of its forward.
struct DecoderTrace {
  std::vector<BlockTrace> blocks;
  std::vector<std::int64_t> lengths;
};

/// What a pass through the blocks is to bring along.
struct DecoderPass {
  std::vector<std::int64_t> lengths;  ///< whole length of every text, including what a cache holds
  KeyValueCache* cache = nullptr;     ///< the rows stand behind the positions it holds, and are added to it
  bool attentions = false;
  bool block_inputs = false;
  DecoderTrace* trace = nullptr;  ///< filled when not null; not together with a cache
};

struct DecoderOutput {
  Tensor states;                     ///< [B,n,D] after the last block, before the final norm
  std::vector<Tensor> attentions;    ///< N tensors [B,H,n,keys], if asked
  std::vector<Tensor> block_inputs;  ///< N tensors [B,n,D], if asked
};

/// A stack of blocks with its embedding and head. Immutable once made; the weights never ask for a gradient.
class Decoder {
 public:
  Decoder(DecoderConfig config, Tensor embedding, std::vector<Block> blocks, RmsNorm final_norm, Linear head,
          Rotary rotary);

  const DecoderConfig& config() const { return config_; }
  std::int64_t vocabulary() const { return embedding_.size(0); }
  const Rotary& rotary() const { return rotary_; }
  const std::vector<Block>& blocks() const { return blocks_; }
  const RmsNorm& final_norm() const { return final_norm_; }
  const Linear& head() const { return head_; }

  /// [..] int64 -> [..,D]. Every id must be inside the vocabulary.
  Tensor embed(const Tensor& ids) const;
  /// The blocks over [B,n,D].
  DecoderOutput run(const Tensor& embeddings, const DecoderPass& pass) const;
  /// The final norm, over rows of any shape [..,D].
  Tensor normalise(const Tensor& states) const { return final_norm_.forward(states); }
  /// [..,D] normalised rows -> [..,V].
  Tensor logits(const Tensor& rows) const { return head_.forward(rows); }

 private:
  DecoderConfig config_;
  Tensor embedding_;  ///< [V,D]
  std::vector<Block> blocks_;
  RmsNorm final_norm_;
  Linear head_;
  Rotary rotary_;
};

}  // namespace whence::transformer
