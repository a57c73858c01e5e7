#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "whence/batch.h"
#include "whence/export.h"

namespace whence {

/// What one attention and the addition behind it make of the rows of a text, as a sum: of what each head carries over
/// from each position, of what is kept of the row itself, and of constants. Norms behind the attention are taken with
/// their deviation as a constant, so that the sum is exact. With L rows that look at K positions:
///   output[i] = sum_j sum_h weights[h,i,j] * scale[i] * vectors[h,j]  +  kept[i]  +  constant[i]
/// [thread: one]
struct WHENCE_API AttentionParts {
  Tensor weights;   ///< [H,L,K] attention weights, zero where a row does not look
  Tensor scale;     ///< [L] of the norms behind the attention; 1 without any
  Tensor vectors;   ///< [H,K,D] values through the output projection and the gains of these norms
  Tensor kept;      ///< [L,D] linear in the row that came in
  Tensor constant;  ///< [L,D] of biases
  Tensor output;    ///< [L,D] the stream behind the attention

  bool defined() const { return weights.defined(); }
  /// The first sum: what comes from each position, all heads together, for rows [first, first + count). [count,K,D]
  Tensor of_positions(std::int64_t first, std::int64_t count) const;
  /// How many rows at a time keep K * `vectors_of_position` vectors of D for each of them small.
  std::int64_t rows_at_once(std::int64_t vectors_of_position = 1) const;
};

/// The same for the feed-forward network: output = added + kept + constant, each [L,D].
struct NetworkParts {
  Tensor added;     ///< what the network makes
  Tensor kept;      ///< linear in the row behind the attention
  Tensor constant;  ///< of norms of the stream
  Tensor output;    ///< the stream behind the block
};

/// One block of a model over one text.
struct BlockParts {
  Side side = Side::target;   ///< whose stack it belongs to
  std::int64_t layer = 0;     ///< within it
  std::int64_t sequence = 0;  ///< of the batch
  AttentionParts attention;   ///< of the text itself
  AttentionParts cross;       ///< of the decoder to its source, K = S; undefined without one
  NetworkParts network;       ///< behind both
};

/// Which way a number points in the stream behind the parts of one block: its derivative there, along the stream alone,
/// past all attentions and networks above, with the deviations of norms as constants.
struct BlockDirections {
  Tensor attention, cross, output;  ///< [B,T,D]; `cross` undefined without a source
};

/// Such directions from the head down.
struct StreamDirections {
  std::vector<BlockDirections> blocks;  ///< N
  Tensor input;                         ///< [B,T,D] in front of the first block
  Tensor states;                        ///< [B,T,D] the stream there
};

/// Optional power of a model: its blocks as sums, one after another, so that no more than one block of one text is held
/// at a time.
class WHENCE_API BlockDecomposition {
 public:
  /// What `Model::query` returns for it points to a BlockDecomposition.
  static constexpr std::string_view kCapability = "block_decomposition/1";

  struct Request {
    Tensor positions;           ///< [B,T] int64: a text is run up to the last of its; -1: none
    bool weights_only = false;  ///< `weights` of both attentions and nothing else
  };
  /// Is shown every text at every block: an encoder's blocks first, ascending, then the decoder's.
  using Visitor = std::function<void(const BlockParts&)>;

  virtual ~BlockDecomposition();
  /// Throws InputError for a position outside of its text. [grad: off] [thread: any]
  virtual void decompose(const Inputs& inputs, const Request& request, const Visitor& visit) const = 0;
  /// Directions of sum_v cotangents[b,t,v] * logits[b,t,v] at the row of each step. `cotangents` is given the logits
  /// [B,T,V], zero where there is no step, and returns as many numbers.
  /// [grad: off] [thread: any]
  virtual StreamDirections directions(const Inputs& inputs, const Tensor& positions,
                                      const std::function<Tensor(const Tensor& logits)>& cotangents) const = 0;
};

}  // namespace whence
