#pragma once

#include <functional>
#include <utility>

#include "whence/export.h"
#include "whence/problem.h"

namespace whence {

/// One text of a problem by itself, cut behind its last predicting row: what a method runs the model on that needs
/// other passes than a Problem makes. No pass over several texts takes less memory.
class WHENCE_API SingleText {
 public:
  /// `problem` outlives it.
  SingleText(const Problem& problem, std::int64_t sequence);

  std::int64_t rows(Side side) const;  ///< 0 for a source that is not there
  std::int64_t steps() const { return positions.size(1); }

  Inputs inputs;     ///< [1,rows] and [1,S] ids
  Tensor positions;  ///< [1,T'] of its own steps

  /// Gradients of the steps [first, first + count), as Model::pull_back gives them.
  using PullBack = std::function<Gradients(std::int64_t first, std::int64_t count, const PullBackRequest& request)>;
  /// Squared norms over hidden units of gradients at the embeddings, of a few steps at a time: source [S,T] and target
  /// [L,T], padded as the problem is, zero for a side that is not attributed.
  std::pair<Tensor, Tensor> squared_norms(const PullBack& pull_back) const;

 private:
  const Problem& problem_;
};

}  // namespace whence
