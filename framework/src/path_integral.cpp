#include "path_integral.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <numeric>

#include "counting.h"
#include "variant_scores.h"

namespace whence {
namespace {

constexpr std::int64_t kFloat = sizeof(float);
/// Numbers of a temporary at the size of hidden units.
constexpr std::int64_t kNumbersAtOnce = std::int64_t{1} << 22;

double sum_of(const std::vector<double>& numbers) { return std::accumulate(numbers.begin(), numbers.end(), 0.0); }

/// Sum of every other weight, from the first or from the second on.
double half_weight(const Nodes& nodes, std::size_t from) {
  double sum = 0;
  for (std::size_t i = from; i < nodes.weights.size(); i += 2) sum += nodes.weights[i];
  return sum;
}

}  // namespace

PathIntegrator::PathIntegrator(ProblemState& state, const Path& path, const GradientRequest& request)
    : state_(state),
      path_(path),
      request_(request),
      leaves_(state.leaves(request.layers)),
      finish_(state, leaves_, request) {
  const auto fail = [](const std::string& found) {
    throw Error(
        ExitStatus::plugin,
        "a path needs at least one level, and in each at least one node and a weight for each node, found " + found);
  };
  if (path.levels.empty()) fail("no level");
  for (const Nodes& level : path.levels)
    if (level.alphas.empty() || level.alphas.size() != level.weights.size())
      fail(std::to_string(level.alphas.size()) + " nodes and " + std::to_string(level.weights.size()) + " weights");
  // A row of a layer's states has moved with every row before it, so that no path moves it alone.
  if (path.one_position && leaves_.at_layers())
    throw Error(ExitStatus::plugin, "a path of one position was asked for at a layer; take embeddings");
  if (path.tolerance > 0) state.may_stop_early = true;
  prepare();
}

PathIntegrator::PathIntegrator(ProblemState& state, const Points& points, const GradientRequest& request)
    : state_(state),
      path_{.levels = {{std::vector<double>(static_cast<std::size_t>(points.count), 0.0),
                        std::vector<double>(static_cast<std::size_t>(points.count), points.weight)}}},
      own_(&points),
      request_(request),
      leaves_(state.leaves(request.layers)),
      finish_(state, leaves_, request) {
  prepare();
}

void PathIntegrator::prepare() {
  for (const Side side : {Side::source, Side::target}) {
    if (!leaves_.at_layers()) state_.embedding(side);
    if (!leaves_.has(side)) continue;
    if (!own_ || request_.multiply != Multiply::nothing) leaves_.input(side);
    if (!own_ || request_.gap || finish_.from_baseline()) leaves_.baseline(side);
    sides_.push_back(side);
  }
  active_ = state_.step_mask.clone();
  error_ = at::zeros(active_.sizes());
  nodes_ = at::zeros(active_.sizes());
  total_ = at::zeros(active_.sizes(), at::kDouble);
}

PathIntegral PathIntegrator::run() {
  PathIntegral integral;
  static_cast<InputGradients&>(integral) = run_groups();
  if (with_error_) integral.error = error_;
  integral.nodes = nodes_;
  if (request_.multiply == Multiply::input_minus_baseline)
    integral.gap = path_.one_position ? at::where(state_.step_mask, total_ - score_differences(), 0.0).to(at::kFloat)
                                      : gap_of(state_, leaves_, total_);
  return integral;
}

PointGradients PathIntegrator::run_points() {
  PointGradients gradients;
  static_cast<InputGradients&>(gradients) = run_groups();
  if (with_error_) gradients.error = error_;
  gradients.total = total_.to(at::kFloat);
  if (request_.gap) gradients.gap = gap_of(state_, leaves_, total_);
  return gradients;
}

InputGradients PathIntegrator::run_groups() {
  std::int64_t units = 0;
  for (const Unit& text : state_.whole())
    for (std::size_t level = 0; level < path_.levels.size(); ++level)
      for (const Side side : passes_of()) units += static_cast<std::int64_t>(units_of(text, level, side).size());
  points_.clear();
  if (!path_.one_position) state_.drop_prefix();
  for (const Side side : sides_) results_[side] = finish_.results(side);
  const std::vector<Group> all = groups();
  meter_.emplace(state_, units * state_.steps() / std::max<std::int64_t>(1, all.front().steps));
  for (const Group& group : all) integrate(group);
  return finish_.input_gradients(results_[Side::source], results_[Side::target]);
}

std::int64_t PathIntegrator::sums_bytes(const Unit& text) const {
  std::int64_t rows = 0;
  for (const Side side : sides_) rows += state_.rows_of(side, text.sequence);
  return 2 * rows * (sums_first() ? 1 : leaves_.width()) * kFloat;
}

std::vector<PathIntegrator::Group> PathIntegrator::groups() {
  std::int64_t held = state_.held();
  for (const auto& [_, result] : results_)
    if (result.defined()) held += result.numel() * kFloat;
  const bool sharing = std::any_of(sides_.begin(), sides_.end(), [&](Side side) { return shares(side); });
  // Steps that fit for every sequence alone; below, sequences that fit together.
  std::int64_t steps = state_.steps();
  const auto demands = [&](std::int64_t steps) {
    std::vector<PassPlan::Demand> list;
    for (const Unit& text : state_.whole()) {
      const std::int64_t beside =
          held + steps * sums_bytes(text) + (sharing ? state_.plan().prefix_bytes(text.sequence) : 0);
      for (const Side side : passes_of()) list.push_back(state_.plan().demand({text}, kind_of(side, 0, steps), beside));
    }
    list.push_back(state_.plan().demand(state_.whole(), {.steps = state_.steps(), .embeddings = true}, held));
    return list;
  };
  const auto too_much = [&](const PassPlan::Demand& demand) { return !state_.plan().fits(demand); };
  const auto sums_too_large = [&](const Unit& text) { return steps * sums_bytes(text) > state_.plan().share(); };
  const std::vector<Unit> texts = state_.whole();
  while (steps > 1) {
    const auto list = demands(steps);
    if (std::none_of(list.begin(), list.end(), too_much) && std::none_of(texts.begin(), texts.end(), sums_too_large))
      break;
    steps = (steps + 1) / 2;
  }
  state_.plan().require(demands(steps));

  std::vector<Group> groups;
  for (std::int64_t first = 0; first < state_.steps(); first += steps) {
    const std::int64_t count = std::min(steps, state_.steps() - first);
    std::int64_t bytes = 0;
    for (const Unit& text : texts) {
      // Shorter sequences may have no step here.
      if (!state_.step_mask[text.sequence].narrow(0, first, count).any().item<bool>()) continue;
      const std::int64_t more = count * sums_bytes(text) + (sharing ? state_.plan().prefix_bytes(text.sequence) : 0);
      if (groups.empty() || groups.back().first_step != first || bytes + more > state_.plan().share()) {
        groups.push_back({{}, first, count});
        bytes = 0;
      }
      groups.back().texts.push_back(text);
      bytes += more;
    }
  }
  return groups;
}

std::vector<Side> PathIntegrator::passes_of() const {
  return path_.one_position ? sides_ : std::vector<Side>{sides_.front()};
}

PassKind PathIntegrator::kind_of(Side side, std::int64_t first_step, std::int64_t steps) const {
  return {.first_step = first_step,
          .steps = steps,
          .embeddings = true,
          .trace = true,
          .shared = shares(side),
          .first_row_only = shares(side)};
}

std::vector<Unit> PathIntegrator::units_of(const Unit& text, std::size_t level, Side side) {
  std::vector<Unit> units;
  const auto add = [&](const Point& point, std::int64_t first_row) {
    units.push_back({text.sequence, static_cast<std::int64_t>(points_.size()), first_row,
                     state_.first_step_after(text.sequence, first_row)});
    points_.push_back(point);
  };
  const std::size_t nodes = path_.levels[level].alphas.size();
  if (!path_.one_position) {
    for (std::size_t node = 0; node < nodes; ++node) add({node}, 0);
    return units;
  }
  const Tensor moves = state_.replaced(side)[text.sequence];
  for (std::int64_t row = 0; row < state_.rows_of(side, text.sequence); ++row) {
    // A row that does not move has no share in a difference.
    if (request_.multiply == Multiply::input_minus_baseline && !moves[row].item<bool>()) continue;
    for (std::size_t node = 0; node < nodes; ++node) add({node, side, row}, shares(side) ? row : 0);
  }
  return units;
}

void PathIntegrator::integrate(const Group& group) {
  for (const Unit& text : group.texts)
    for (const Side side : sides_) {
      std::vector<std::int64_t> shape{state_.rows_of(side, text.sequence), group.steps};
      if (!sums_first()) shape.push_back(leaves_.width());
      sums_[{side, text.sequence}] = {at::zeros(shape), at::zeros(shape)};
    }
  std::shared_ptr<const ProblemState::Prefix> prefix;
  for (const Side side : sides_)
    if (shares(side)) prefix = state_.prefix_of(group.texts);
  for (std::size_t level = 0; level < path_.levels.size(); ++level) {
    points_.clear();
    for (const Side side : passes_of()) run_level(group, level, side, prefix.get());
    end_level(group, level);
  }
  for (const Unit& text : group.texts)
    for (const Side side : sides_) {
      const Key key{side, text.sequence};
      const Sums& sums = sums_.at(key);
      const double scale = varies() ? 1 / static_cast<double>(own_->count) : 1;
      per_token(key, varies() ? sums.second : sums.first, scale,
                total_[text.sequence].narrow(0, group.first_step, group.steps),
                results_.at(side)[text.sequence]
                    .narrow(0, 0, state_.rows_of(side, text.sequence))
                    .narrow(1, group.first_step, group.steps));
    }
  sums_.clear();
}

void PathIntegrator::run_level(const Group& group, std::size_t level, Side moving, const ProblemState::Prefix* prefix) {
  std::vector<Unit> units;
  for (const Unit& text : group.texts) {
    const Tensor steps = active_[text.sequence].narrow(0, group.first_step, group.steps);
    if (!steps.any().item<bool>()) continue;
    for (const Unit& unit : units_of(text, level, moving)) units.push_back(unit);
  }
  const ProblemState::RowsOf rows = [&](const Unit& unit, Side side) -> Tensor {
    if (!leaves_.has(side)) return {};
    const std::int64_t length = state_.rows_of(side, unit.sequence);
    if (own_) {
      const auto node = static_cast<std::int64_t>(points_[static_cast<std::size_t>(unit.copy)].node);
      return own_->rows({unit.sequence, side, node}).narrow(0, 0, length);
    }
    const Tensor end = leaves_.input(side)[unit.sequence].narrow(0, 0, length);
    const Point& point = points_[static_cast<std::size_t>(unit.copy)];
    const double alpha = path_.levels[level].alphas[point.node];
    const Tensor start = leaves_.baseline(side)[unit.sequence].narrow(0, 0, length);
    if (point.row < 0) return alpha == 1.0 ? end : start + alpha * (end - start);
    if (point.side != side) return end;
    Tensor moved = end.clone();
    moved[point.row].copy_(start[point.row] + alpha * (end[point.row] - start[point.row]));
    return moved;
  };
  std::int64_t held = state_.held() + (prefix ? prefix->bytes : 0);
  for (const auto& [_, result] : results_)
    if (result.defined()) held += result.numel() * kFloat;
  for (const Unit& text : group.texts) held += group.steps * sums_bytes(text);
  TracedPass traced{.rows = &rows, .begins = leaves_.sites(), .active = active_, .ends = leaves_.ends()};
  traced.ends.first_changed_only = shares(moving);
  traced.ends.rules = request_.rules;
  if (path_.one_position)
    for (const Side side : sides_) (side == Side::source ? traced.ends.source : traced.ends.target) = side == moving;
  for (const Pass& pass : state_.plan().passes(units, kind_of(moving, group.first_step, group.steps), held)) {
    if (shares(moving)) traced.shared = ProblemState::shared(*prefix, pass.units);
    run_traced(state_, pass, traced, [&](Gradients& gradients, std::int64_t first, std::int64_t count) {
      add(group, pass, level, gradients, first, count);
    });
    meter_->add(pass.units.size());
  }
}

void PathIntegrator::add(const Group& group, const Pass& pass, std::size_t level, Gradients& gradients,
                         std::int64_t first, std::int64_t count) {
  for (std::size_t u = 0; u < pass.units.size(); ++u) {
    const Unit& unit = pass.units[u];
    const Point& point = points_[static_cast<std::size_t>(unit.copy)];
    const double weight = path_.levels[level].weights[point.node];
    for (const Side side : sides_) {
      if (point.row >= 0 && point.side != side) continue;
      Sums& sums = sums_.at({side, unit.sequence});
      // The halves that are compared: every other node of the first level, later all before and the level itself.
      Tensor into =
          (level == 0 && point.node % 2 == 0 ? sums.first : sums.second).narrow(1, first - group.first_step, count);
      const Tensor of_unit = leaves_.of(gradients, side)[static_cast<std::int64_t>(u)];
      Tensor own, factor = sums_first() ? finish_.factor(side, unit.sequence) : Tensor();
      if (point.row < 0) {
        own = of_unit.narrow(0, 0, into.size(0));
      } else {
        own = of_unit.narrow(0, shares(side) ? 0 : point.row, 1);
        into = into.narrow(0, point.row, 1);
        if (factor.defined()) factor = factor.narrow(0, point.row, 1);
      }
      if (own_) {
        if (own_->factor)
          own.mul_(own_->factor({unit.sequence, side, static_cast<std::int64_t>(point.node)})
                       .narrow(0, 0, own.size(0))
                       .unsqueeze(1));
        if (own_->moment == Moment::squares) own.square_();
        if (varies()) {
          add_deviation(sums.first.narrow(1, first - group.first_step, count),
                        sums.second.narrow(1, first - group.first_step, count), own, point.node);
          continue;
        }
      }
      finish_.multiply(own, factor);
      into.add_(sums_first() ? own.sum(-1) : own, weight);
    }
  }
}

void PathIntegrator::add_deviation(Tensor mean, Tensor deviations, const Tensor& gradient, std::size_t point) {
  // Welford's recurrence; the points of a sequence come in order.
  const Tensor before = gradient - mean;
  mean.add_(before, 1 / static_cast<double>(point + 1));
  deviations.addcmul_(before, gradient - mean);
}

Tensor PathIntegrator::per_token(const Key& key, const Tensor& sums, double scale, Tensor total, Tensor results) const {
  if (sums_first()) {
    if (results.defined()) results.copy_(sums);
    if (total.defined()) total.add_(sums.sum(0, /*keepdim=*/false, at::kDouble));
    return sums * scale;
  }
  const Tensor factor = finish_.factor(key.first, key.second);
  Tensor tokens = at::zeros({sums.size(0), sums.size(1)});
  const std::int64_t together =
      std::max<std::int64_t>(1, kNumbersAtOnce / std::max<std::int64_t>(1, sums.size(0) * sums.size(2)));
  for (std::int64_t first = 0; first < sums.size(1); first += together) {
    const std::int64_t count = std::min(together, sums.size(1) - first);
    Tensor some = sums.narrow(1, first, count) * scale;
    finish_.multiply(some, factor);
    if (total.defined()) total.narrow(0, first, count).add_(some.sum({0, 2}, /*keepdim=*/false, at::kDouble));
    const Tensor finished = finish_.finish(some);
    if (results.defined()) results.narrow(1, first, count).copy_(finished);
    tokens.narrow(1, first, count).copy_(finish_.reduces() ? finished : at::linalg_vector_norm(finished, 2, -1));
  }
  return tokens;
}

void PathIntegrator::end_level(const Group& group, std::size_t level) {
  if (varies()) return;
  const Nodes& nodes = path_.levels[level];
  const bool can_compare = level > 0 || nodes.alphas.size() > 1;
  const double whole = sum_of(path_.levels.front().weights);
  // What makes a whole rule of either half.
  double scale_first = 1, scale_second = 2;
  if (level == 0 && can_compare) {
    scale_first = whole / half_weight(nodes, 0);
    scale_second = whole / half_weight(nodes, 1);
  }
  for (const Unit& text : group.texts) {
    Tensor active = active_[text.sequence].narrow(0, group.first_step, group.steps);
    if (!active.any().item<bool>()) continue;
    Tensor distance = at::zeros({group.steps}, at::kDouble), size = at::zeros({group.steps}, at::kDouble);
    for (const Side side : sides_) {
      const Key key{side, text.sequence};
      Sums& sums = sums_.at(key);
      if (can_compare)
        distance += (per_token(key, sums.first, scale_first) - per_token(key, sums.second, scale_second))
                        .abs()
                        .sum(0, false, at::kDouble) /
                    2;
      // Steps that are done keep their sum; their share of this level is zero.
      std::vector<std::int64_t> shape(static_cast<std::size_t>(sums.first.dim()), 1);
      shape[1] = group.steps;
      if (level > 0) sums.first.mul_(at::where(active, at::full({}, 0.5), 1.0).view(shape));
      sums.first.add_(sums.second);
      sums.second.zero_();
      if (can_compare) size += per_token(key, sums.first, 1).abs().sum(0, false, at::kDouble);
    }
    Tensor taken = nodes_[text.sequence].narrow(0, group.first_step, group.steps);
    taken.add_(active.to(at::kFloat), static_cast<double>(nodes.alphas.size()));
    if (!can_compare) continue;
    with_error_ = true;
    const Tensor estimate =
        at::where(size > 0, distance / size, at::where(distance > 0, at::full({}, 1.0, at::kDouble), 0.0));
    Tensor error = error_[text.sequence].narrow(0, group.first_step, group.steps);
    error.copy_(at::where(active, estimate.to(at::kFloat), error));
    if (path_.tolerance > 0 && !counts_only(state_.model)) active.logical_and_(error > path_.tolerance);
  }
}

Tensor PathIntegrator::score_differences() {
  Tensor sum = at::zeros(active_.sizes(), at::kDouble);
  for (const Side side : sides_) {
    Variants each;
    (side == Side::source ? each.source_mask : each.target_mask) = at::eye(state_.length(side), at::kBool);
    sum +=
        (state_.base_scores() - VariantScores(state_, each, state_.score).run()).sum(0, /*keepdim=*/false, at::kDouble);
  }
  return sum;
}

}  // namespace whence
