#pragma once

#include <functional>
#include <vector>

#include "whence/export.h"
#include "whence/problem.h"

namespace whence {

/// The rows that points of a method's own lie around (see Points): the embeddings of the attributed sides or, at
/// layers, the states there, for which texts go through the model one at a time.
class WHENCE_API SiteRows {
 public:
  /// `sites` as in GradientRequest::layers. `problem` outlives it.
  SiteRows(const Problem& problem, std::vector<LayerSite> sites);

  bool at_layers() const { return !sites_.empty(); }
  /// True when rows of this side take part.
  bool has(Side side) const;
  /// [rows,D] of a text as it is, and where the sides that take part begin with the embeddings of their baseline.
  Tensor input(std::int64_t sequence, Side side) const;
  Tensor baseline(std::int64_t sequence, Side side) const;

  /// [rows,D] of each site.
  using States = std::vector<Tensor>;
  /// States of a text where the sides that take part begin with other embeddings [rows,E], of which more are cut off.
  States states(std::int64_t sequence, const std::function<Tensor(Side)>& embeddings) const;
  /// Those of one side.
  const Tensor& of(const States& states, Side side) const;

 private:
  const States& known(std::vector<States>& states, std::int64_t sequence,
                      const std::function<Tensor(Side)>& embeddings) const;

  const Problem& problem_;
  const std::vector<LayerSite> sites_;
  mutable std::vector<States> inputs_, baselines_;  ///< by sequence, once asked for
};

}  // namespace whence
