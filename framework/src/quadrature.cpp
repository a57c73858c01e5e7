#include "whence/quadrature.h"

#include <boost/math/special_functions/legendre.hpp>

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
    throw ConfigError("tolerance: the points of " + rule +
                      " do not stay when their number is doubled; use riemann_left, riemann_right or trapezoid");
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

}  // namespace whence
