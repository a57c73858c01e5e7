#pragma once

#include <vector>

#include "whence/attribution.h"
#include "whence/export.h"
#include "whence/problem.h"

namespace whence {

/// Shares that the rows of the last layer have in the tokens of one text, from how each layer mixes rows: the product
/// of these mixtures (attention rollout, arXiv:2005.00928). A decoder that looks at a source has shares in the source's
/// tokens beside those in its own (arXiv:2205.11631). [thread: one]
class WHENCE_API Rollout {
 public:
  /// `rows` of the target and `source` tokens, 0 without a source; every row begins as itself.
  Rollout(std::int64_t rows, std::int64_t source);

  /// A layer's rows become mixtures [L,L] of the rows of the same side below it.
  void mix(Side side, const Tensor& mixture);
  /// Target rows become what is kept [L] of themselves and mixtures [L,S] of the source's last states.
  void mix_source(const Tensor& kept, const Tensor& mixture);

  const Tensor& encoder() const { return encoder_; }  ///< [S,S] shares of the source's rows in its tokens
  const Tensor& target() const { return target_; }    ///< [L,L] a row's shares in target tokens
  const Tensor& source() const { return source_; }    ///< [L,S] a row's shares in source tokens; undefined without any

 private:
  Tensor encoder_, target_, source_;  // [S,S], [L,L], [L,S]
};

/// The rollouts of all texts of a problem, and what the rows that predict its steps have at the end, or at each layer
/// of the target's.
class WHENCE_API Rollouts {
 public:
  Rollouts(const Problem& problem, bool per_layer);

  Rollout& operator[](std::int64_t sequence) { return texts_[static_cast<std::size_t>(sequence)]; }
  /// Takes what there is of a text after a layer of the target.
  void keep(std::int64_t sequence, std::int64_t layer);
  /// [B,L,T] and [B,S,T], or with a dim of layers.
  Attribution attribution() const;

 private:
  const Problem& problem_;
  bool per_layer_;
  std::vector<Rollout> texts_;
  Tensor target_, source_;  // [B,L,T,N], [B,S,T,N]
};

}  // namespace whence
