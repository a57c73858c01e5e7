#pragma once

#include <functional>

#include "decoder.h"
#include "linear_norm.h"
#include "whence/block_decomposition.h"

namespace whence::transformer {

/// One text on its way through a stack.
struct TextPass {
  const Stack<float>& stack;
  std::int64_t length;                ///< of the whole text
  Tensor embeddings;                  ///< [L,E] of the rows that are run
  const KeyValues* source = nullptr;  ///< of blocks that look at a source
  bool weights_only = false;
};

/// Runs the blocks over a text and shows each in parts, all but what names side and sequence. Returns what comes out of
/// the last block, [L,D]. Throws ModelError when numbers are not finite.
Tensor visit_parts(const TextPass& pass, const BlockDecomposition::Visitor& visit);

/// The norms of the stream, as far as a block has them, at some rows.
struct StreamNorms {
  LinearNorm before_attention, after_attention, before_cross, after_cross, before_network, after_network;
};

/// A text at the rows that steps are read at.
struct StreamAtRows {
  std::vector<StreamNorms> blocks;
  Tensor input, output;  ///< [T,D] in front of the first block and behind the last
};
StreamAtRows stream_at(const TextPass& pass, const Tensor& rows);

/// From directions [T,D] behind the last block to those behind every part below, and in front of the first block.
StreamDirections directions_below(const StreamAtRows& stream, Tensor direction, bool crosses);

}  // namespace whence::transformer
