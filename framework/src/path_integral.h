#pragma once

#include <map>

#include "gradient_sums.h"

namespace whence {

/// Integrates gradients along paths, or sums them over points. Gradients are summed at the size of hidden units for
/// some sequences and steps at a time, as many as the memory budget allows; each of these groups goes through all nodes
/// before the next one begins.
class PathIntegrator {
 public:
  /// Throws an error of the calling plugin for a path without nodes, or with another number of weights, and for paths
  /// of one position at a layer.
  PathIntegrator(ProblemState& state, const Path& path, const GradientRequest& request);

  /// Over points of a method's own; at layers their rows are states there.
  PathIntegrator(ProblemState& state, const Points& points, const GradientRequest& request);

  PathIntegral run();
  PointGradients run_points();

 private:
  /// Sequences and steps that are integrated together.
  struct Group {
    std::vector<Unit> texts;
    std::int64_t first_step = 0, steps = 0;
  };
  /// Two sums over nodes of one side of a sequence, [rows,T',D], or [rows,T'] where hidden units can be summed first.
  /// Between levels `first` holds everything so far; during a level, `second` what is to be compared with it.
  struct Sums {
    Tensor first, second;
  };
  /// What a unit stands for.
  struct Point {
    std::size_t node = 0;  ///< of its level
    Side side = Side::target;
    std::int64_t row = -1;  ///< the row that moves; -1: all
  };
  using Key = std::pair<Side, std::int64_t>;  ///< of a sequence

  bool sums_first() const { return finish_.sums() && !varies(); }
  bool varies() const { return own_ && own_->moment == Moment::variance; }
  void prepare();
  /// Integrates all groups and hands on what every result has.
  InputGradients run_groups();
  std::vector<Group> groups();
  /// Copies of a text at the nodes of a level; with one position that moves, those of the rows of `side`.
  std::vector<Unit> units_of(const Unit& text, std::size_t level, Side side);
  /// Sides whose rows move in passes of their own: each, where rows move alone, else all together as one.
  std::vector<Side> passes_of() const;
  /// Whether texts whose rows move on one side begin like the text as it is.
  bool shares(Side side) const { return path_.one_position && side == Side::target && state_.shares_prefixes(); }
  PassKind kind_of(Side side, std::int64_t first_step, std::int64_t steps) const;
  void integrate(const Group& group);
  void run_level(const Group& group, std::size_t level, Side side, const ProblemState::Prefix* prefix);
  void add(const Group& group, const Pass& pass, std::size_t level, Gradients& gradients, std::int64_t first,
           std::int64_t count);
  /// Takes the gradient of a point into the running mean (first) and sum of squared deviations (second).
  static void add_deviation(Tensor mean, Tensor deviations, const Tensor& gradient, std::size_t point);
  /// Joins the sums of a level, estimates the error of every step that took part and stops those that are done.
  void end_level(const Group& group, std::size_t level);
  /// One number for each token and step of sums, scaled: [rows,T']. With `results` they are stored there, too, and
  /// their sum is added to `total` [T'].
  Tensor per_token(const Key& key, const Tensor& sums, double scale, Tensor total = {}, Tensor results = {}) const;
  /// Sums over all paths of one position.
  Tensor score_differences();
  std::int64_t sums_bytes(const Unit& text) const;

  ProblemState& state_;
  const Path path_;
  const Points* own_ = nullptr;  ///< null: points on the path
  const GradientRequest& request_;
  Leaves& leaves_;
  const GradientFinish finish_;
  std::vector<Side> sides_;
  std::vector<Point> points_;  ///< by Unit::copy
  std::map<Key, Sums> sums_;
  std::map<Side, Tensor> results_;
  Tensor active_;                 ///< [B,T] bool
  Tensor error_, nodes_, total_;  ///< [B,T]
  bool with_error_ = false;
  std::optional<ProblemState::Meter> meter_;
};

}  // namespace whence
