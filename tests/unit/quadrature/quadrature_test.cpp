#include "whence/quadrature.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numeric>

#include "support/text_of_error.h"

namespace whence {
namespace {

using testing::text_of_error;

double integral(const Nodes& nodes, const std::function<double(double)>& function) {
  double sum = 0;
  for (std::size_t k = 0; k < nodes.alphas.size(); ++k) sum += nodes.weights[k] * function(nodes.alphas[k]);
  return sum;
}

const std::vector<std::string> kRules = {"gausslegendre",  "riemann_left",      "riemann_right",
                                         "riemann_middle", "riemann_trapezoid", "trapezoid"};

TEST(Quadrature, WeightsAddUpToOne) {
  for (const std::string& rule : kRules)
    for (const std::int64_t count : {2, 3, 10, 51}) {
      const Nodes nodes = quadrature(rule, count);
      ASSERT_EQ(std::ssize(nodes.alphas), count) << rule;
      EXPECT_NEAR(integral(nodes, [](double) { return 1; }), 1, 1e-12) << rule << " " << count;
      EXPECT_TRUE(std::is_sorted(nodes.alphas.begin(), nodes.alphas.end())) << rule << " " << count;
      EXPECT_GE(nodes.alphas.front(), 0) << rule;
      EXPECT_LE(nodes.alphas.back(), 1) << rule;
    }
}

TEST(Quadrature, PointsOfEachRule) {
  EXPECT_EQ(quadrature("riemann_left", 4).alphas, (std::vector<double>{0, 0.25, 0.5, 0.75}));
  EXPECT_EQ(quadrature("riemann_right", 4).alphas, (std::vector<double>{0.25, 0.5, 0.75, 1}));
  EXPECT_EQ(quadrature("riemann_middle", 4).alphas, (std::vector<double>{0.125, 0.375, 0.625, 0.875}));
  EXPECT_EQ(quadrature("trapezoid", 5).alphas, (std::vector<double>{0, 0.25, 0.5, 0.75, 1}));
  EXPECT_EQ(quadrature("trapezoid", 5).weights, (std::vector<double>{0.125, 0.25, 0.25, 0.25, 0.125}));
}

TEST(Quadrature, GaussIsExactForPolynomials) {
  for (std::int64_t count = 1; count <= 12; ++count)
    for (std::int64_t power = 0; power < 2 * count; ++power)
      EXPECT_NEAR(integral(quadrature("gausslegendre", count), [&](double x) { return std::pow(x, power); }),
                  1.0 / static_cast<double>(power + 1), 1e-12)
          << count << " points, x^" << power;
}

/// Weight of each point of the rule after all doublings: earlier points count half each time.
std::map<double, double> doubled(const std::string& rule, std::int64_t count, std::int64_t most) {
  std::vector<Nodes> levels = {quadrature(rule, count)};
  for (Nodes& added : doublings(rule, count, most)) levels.push_back(std::move(added));
  std::map<double, double> weights;
  double scale = std::pow(0.5, levels.size() - 1);
  for (std::size_t level = 0; level < levels.size(); ++level) {
    for (std::size_t k = 0; k < levels[level].alphas.size(); ++k)
      EXPECT_TRUE(weights.emplace(levels[level].alphas[k], scale * levels[level].weights[k]).second)
          << levels[level].alphas[k] << " comes twice";
    scale *= 2;
  }
  return weights;
}

TEST(Quadrature, DoublingGivesTheRuleOfTwiceTheIntervals) {
  const auto expect_same = [](const std::string& rule, std::int64_t from, std::int64_t to) {
    const auto got = doubled(rule, from, to);
    const Nodes expected = quadrature(rule, to);
    ASSERT_EQ(std::ssize(got), to) << rule;
    std::size_t k = 0;
    for (const auto& [alpha, weight] : got) {
      EXPECT_NEAR(alpha, expected.alphas[k], 1e-15) << rule;
      EXPECT_NEAR(weight, expected.weights[k++], 1e-15) << rule;
    }
  };
  for (const char* rule : {"riemann_left", "riemann_right"}) {
    expect_same(rule, 1, 2);
    expect_same(rule, 3, 24);
  }
  for (const char* rule : {"trapezoid", "riemann_trapezoid"}) {
    expect_same(rule, 2, 3);
    expect_same(rule, 4, 25);
  }
}

TEST(Quadrature, DoublesWhileThePointsAreFewEnough) {
  const auto total = [](const std::string& rule, std::int64_t count, std::int64_t most) {
    return std::ssize(doubled(rule, count, most));
  };
  EXPECT_EQ(total("riemann_left", 5, 9), 5);
  EXPECT_EQ(total("riemann_left", 5, 10), 10);
  EXPECT_EQ(total("riemann_left", 5, 39), 20);
  EXPECT_EQ(total("trapezoid", 5, 9), 9);
  EXPECT_EQ(total("trapezoid", 5, 8), 5);
}

TEST(Quadrature, NamesWhatARuleCannotDo) {
  for (const char* rule : {"gausslegendre", "riemann_middle"})
    EXPECT_EQ(text_of_error([&] { doublings(rule, 4, 100); }),
              "tolerance: the points of " + std::string(rule) +
                  " do not stay when their number is doubled; set method to riemann_left, riemann_right or trapezoid");
  for (const auto work : {+[] { quadrature("trapezoid", 1); }, +[] { doublings("trapezoid", 1, 8); }})
    EXPECT_EQ(text_of_error(work), "n_steps: trapezoid needs at least 2, found 1; take riemann_middle for one point");
  EXPECT_EQ(text_of_error([] { quadrature("gauslegendre", 3); }),
            "unknown quadrature rule 'gauslegendre'; did you mean 'gausslegendre'? known: gausslegendre, "
            "riemann_left, riemann_middle, riemann_right, trapezoid");
}

}  // namespace
}  // namespace whence
