#include "whence/quadrature.h"

#include <boost/math/special_functions/legendre.hpp>
#include <sstream>

#include "whence/error.h"

namespace whence {
namespace {

bool is_trapezoid(const std::string& rule) { return rule == "trapezoid" || rule == "riemann_trapezoid"; }

Nodes gauss_legendre(std::int64_t count) {
  const int degree = static_cast<int>(count);
  Nodes nodes{{}, {}};
  const auto add = [&](double zero) {
    const double slope = boost::math::legendre_p_prime(degree, zero);
    nodes.alphas.push_back((1 + zero) / 2);
    nodes.weights.push_back(1 / ((1 - zero * zero) * slope * slope));  // half the weight on [-1, 1]
  };
  // Boost lists the zeros that are not negative, ascending; the others are their mirror images.
  const std::vector<double> zeros = boost::math::legendre_p_zeros<double>(degree);
  for (auto zero = zeros.rbegin(); zero != zeros.rend(); ++zero)
    if (*zero > 0) add(-*zero);
  for (const double zero : zeros) add(zero);
  return nodes;
}

/// `count` points, `spacing` apart from `first` on, that share `weight`.
Nodes even(std::int64_t count, double first, double spacing, double weight = 1) {
  Nodes nodes{{}, std::vector<double>(count, weight / static_cast<double>(count))};
  for (std::int64_t k = 0; k < count; ++k) nodes.alphas.push_back(first + static_cast<double>(k) * spacing);
  return nodes;
}

/// Intervals of a trapezoid with `count` points.
std::int64_t trapezoid_intervals(std::int64_t count) {
  if (count < 2)
    throw ConfigError("n_steps: trapezoid needs at least 2, found " + std::to_string(count) +
                      "; take riemann_middle for one point");
  return count - 1;
}

Nodes trapezoid(std::int64_t count) {
  const double width = 1.0 / static_cast<double>(trapezoid_intervals(count));
  Nodes nodes = even(count, 0, width);
  nodes.weights.assign(count, width);
  nodes.weights.front() /= 2;
  nodes.weights.back() /= 2;
  return nodes;
}

}  // namespace

Nodes quadrature(const std::string& rule, std::int64_t count) {
  const double width = 1.0 / static_cast<double>(count);
  if (rule == "gausslegendre") return gauss_legendre(count);
  if (rule == "riemann_left") return even(count, 0, width);
  if (rule == "riemann_right") return even(count, width, width);
  if (rule == "riemann_middle") return even(count, width / 2, width);
  if (is_trapezoid(rule)) return trapezoid(count);
  throw UnknownName({}, "quadrature rule", rule,
                    {"gausslegendre", "riemann_left", "riemann_right", "riemann_middle", "trapezoid"});
}

std::vector<Nodes> doublings(const std::string& rule, std::int64_t count, std::int64_t most) {
  if (rule != "riemann_left" && rule != "riemann_right" && !is_trapezoid(rule))
    throw ConfigError(
        "tolerance: the points of " + rule +
        " do not stay when their number is doubled; set method to riemann_left, riemann_right or trapezoid");
  // The rules that nest have their points at the ends of equal intervals, so new points halve the intervals.
  std::int64_t intervals = is_trapezoid(rule) ? trapezoid_intervals(count) : count;
  std::vector<Nodes> added;
  for (std::int64_t total = count + intervals; total <= most; total += intervals) {
    const double width = 1.0 / static_cast<double>(intervals);
    added.push_back(even(intervals, width / 2, width, 0.5));
    intervals *= 2;
  }
  return added;
}

PathChoice path_choice(const Params& params) {
  const auto rule = params.get<std::string>("method");
  const auto count = params.get<std::int64_t>("n_steps"), most = params.get<std::int64_t>("max_nodes");
  const bool short_trapezoid = is_trapezoid(rule) && params.get<std::string>("compat") == "reference";
  const bool factor = params.get<bool>("multiply_by_inputs");
  PathChoice choice{.request = {.multiply = factor ? Multiply::input_minus_baseline : Multiply::nothing},
                    .deltas = params.get<bool>("return_convergence_delta")};
  if (choice.deltas && !factor)
    throw ConfigError(
        "return_convergence_delta: there is no score difference to compare with while multiply_by_inputs is false; "
        "set one of them the other way");

  choice.path.levels = {quadrature(rule, count)};
  // The reference takes 1/n as width between the points of a trapezoid, though they are 1/(n-1) apart.
  if (short_trapezoid)
    for (double& weight : choice.path.levels.front().weights) weight *= 1 - 1.0 / static_cast<double>(count);
  if (!params.has("tolerance")) return choice;

  choice.path.tolerance = params.get<double>("tolerance");
  if (choice.path.tolerance == 0)
    throw ConfigError("tolerance: no estimate falls to 0; give a number above 0, or leave it out");
  if (most < count)
    throw ConfigError("max_nodes: expected at least n_steps = " + std::to_string(count) + ", found " +
                      std::to_string(most));
  if (short_trapezoid)
    throw ConfigError(
        "tolerance: the weights that compat: reference gives the trapezoid do not sum to 1, so more nodes lead "
        "elsewhere; leave one of the two out");
  for (Nodes& added : doublings(rule, count, most)) choice.path.levels.push_back(std::move(added));
  return choice;
}

Attribution attribution_of(const PathIntegral& integral, const Path& path) {
  Attribution attribution{.source = integral.source, .target = integral.target, .granularity = integral.granularity};
  if (integral.gap.defined()) attribution.step_scores["completeness_gap"] = integral.gap;
  if (integral.error.defined()) attribution.step_scores["error_estimate"] = integral.error;
  if (path.tolerance == 0) return attribution;
  // A single node gives no estimate, so nothing is known to be near enough.
  const Tensor steps = integral.nodes > 0;
  const Tensor missed = integral.error.defined() ? steps.logical_and(integral.error > path.tolerance) : steps;
  attribution.step_scores["nodes"] = integral.nodes;
  attribution.step_scores["tolerance_missed"] = missed.to(at::kFloat);
  if (const auto count = missed.sum().item<std::int64_t>(); count > 0) {
    std::ostringstream note;
    note << count << " of " << steps.sum().item<std::int64_t>()
         << " steps stopped at max_nodes with an error estimate above the tolerance of " << path.tolerance
         << "; their step score tolerance_missed is 1";
    attribution.notes.push_back(note.str());
  }
  return attribution;
}

}  // namespace whence
