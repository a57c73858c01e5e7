#pragma once

#include "problem_state.h"

namespace whence {

/// What gradients of a request are taken at, and where its paths begin and end: the embeddings of the attributed sides,
/// or the states of a layer of each side. Tensors are [B,L,D] or [B,S,D].
class Leaves {
 public:
  /// Throws an error of the calling plugin for two layers of one side.
  Leaves(ProblemState& state, std::vector<LayerSite> sites);

  bool has(Side side) const;
  bool at_layers() const { return !sites_.empty(); }
  const std::vector<LayerSite>& sites() const { return sites_; }
  std::int64_t width() const;
  const Tensor& input(Side side);
  /// With the sides that have leaves at their baseline and the others as they are.
  const Tensor& baseline(Side side);
  /// Score of every step where all leaves are at their baseline: [B,T].
  Tensor baseline_scores();
  /// Rows of a text at the baseline, as a pass begins with them, whatever the leaves are; undefined: from its ids.
  Tensor baseline_rows(const Unit& unit, Side side);
  /// Takes what a pass captured at the sites.
  void remember_input(const std::vector<Unit>& units, const Forward& forward);
  void remember_baseline(const std::vector<Unit>& units, const Forward& forward, const Tensor& scores);
  /// What gives the gradients at the leaves.
  PullBackRequest ends() const;
  /// The gradients at the leaves of a side.
  Tensor& of(Gradients& gradients, Side side) const;
  std::int64_t bytes() const;

 private:
  /// States of one kind of pass, in the order of the sites, and the texts that they are known of.
  struct States {
    std::vector<Tensor> values;
    std::vector<bool> known;
  };

  std::size_t index(Side side) const;
  void allocate(States& states) const;
  void put(States& states, const std::vector<Unit>& units, const Forward& forward) const;
  void capture_input();
  void capture_baseline();

  ProblemState& state_;
  const std::vector<LayerSite> sites_;
  States input_, baseline_;
  Tensor baseline_scores_;
};

}  // namespace whence
