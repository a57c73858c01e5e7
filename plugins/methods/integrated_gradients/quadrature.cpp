#include "quadrature.h"

#include <boost/math/special_functions/legendre.hpp>

#include "whence/error.h"

namespace {

whence::Nodes gauss_legendre(std::int64_t count) {
  const int degree = static_cast<int>(count);
  whence::Nodes nodes{{}, {}};
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

/// `count` points, `spacing` apart from `first` on, with equal weights.
whence::Nodes even(std::int64_t count, double first, double spacing) {
  whence::Nodes nodes{{}, std::vector<double>(count, 1.0 / static_cast<double>(count))};
  for (std::int64_t k = 0; k < count; ++k) nodes.alphas.push_back(first + static_cast<double>(k) * spacing);
  return nodes;
}

whence::Nodes trapezoid(std::int64_t count, bool short_trapezoid) {
  if (count < 2)
    throw whence::ConfigError(
        "n_steps: riemann_trapezoid needs at least 2, found 1; take riemann_middle for one point");
  const double width = 1.0 / static_cast<double>(count - 1);
  whence::Nodes nodes = even(count, 0, width);
  nodes.weights.assign(count, short_trapezoid ? 1.0 / static_cast<double>(count) : width);
  nodes.weights.front() /= 2;
  nodes.weights.back() /= 2;
  return nodes;
}

}  // namespace

whence::Nodes quadrature(const std::string& rule, std::int64_t count, bool short_trapezoid) {
  const double width = 1.0 / static_cast<double>(count);
  if (rule == "gausslegendre") return gauss_legendre(count);
  if (rule == "riemann_left") return even(count, 0, width);
  if (rule == "riemann_right") return even(count, width, width);
  if (rule == "riemann_middle") return even(count, width / 2, width);
  return trapezoid(count, short_trapezoid);
}
