#include "whence/rank_correlation.h"

#include <gtest/gtest.h>

#include <cmath>

#include "whence/random.h"

namespace whence {
namespace {

/// Numbers of which many are equal.
std::vector<double> numbers(std::uint64_t sample, std::int64_t count, std::int64_t kinds) {
  const Tensor drawn = RandomStream({1, "", "ranks", sample}).choice(kinds, count);
  return {drawn.const_data_ptr<std::int64_t>(), drawn.const_data_ptr<std::int64_t>() + count};
}

double kendall_by_pairs(const std::vector<double>& x, const std::vector<double>& y) {
  double agreeing = 0, of_x = 0, of_y = 0;
  for (std::size_t i = 0; i < x.size(); ++i)
    for (std::size_t j = 0; j < i; ++j) {
      const double a = (x[i] > x[j]) - (x[i] < x[j]), b = (y[i] > y[j]) - (y[i] < y[j]);
      agreeing += a * b;
      of_x += a * a;
      of_y += b * b;
    }
  return agreeing / std::sqrt(of_x * of_y);
}

TEST(RankCorrelation, KendallIsThatOfAllPairs) {
  for (const std::int64_t kinds : {2, 5, 1000})
    for (std::uint64_t sample = 0; sample < 20; ++sample) {
      const auto x = numbers(2 * sample, 17, kinds), y = numbers(2 * sample + 1, 17, kinds);
      EXPECT_NEAR(kendall_tau_b(x, y), kendall_by_pairs(x, y), 1e-12);
      EXPECT_NEAR(kendall_tau_b(x, x), 1, 1e-12);
    }
}

TEST(RankCorrelation, RanksOfEqualNumbersAreTheirMean) {
  EXPECT_EQ(average_ranks(std::vector<double>{3, 1, 3, 2, 3}), (std::vector<double>{4, 1, 4, 2, 4}));
}

TEST(RankCorrelation, SpearmanAndPearson) {
  const std::vector<double> x{1, 2, 3, 4, 5}, y{5, 6, 7, 8, 7}, cubes{1, 8, 27, 64, 125};
  EXPECT_NEAR(spearman(x, y), 0.8207826816681233, 1e-12);  // scipy.stats.spearmanr
  EXPECT_NEAR(kendall_tau_b(x, y), 0.7378647873726218, 1e-12);
  EXPECT_NEAR(pearson(x, y), 0.8320502943378437, 1e-12);
  EXPECT_NEAR(spearman(x, cubes), 1, 1e-12);
  EXPECT_LT(pearson(x, cubes), 0.95);
}

TEST(RankCorrelation, SaysNothingOfWhatDoesNotVary) {
  for (const auto& function : {pearson, spearman, kendall_tau_b}) {
    EXPECT_TRUE(std::isnan(function(std::vector<double>{2, 2}, std::vector<double>{1, 2})));
    EXPECT_TRUE(std::isnan(function(std::vector<double>{1, 2}, std::vector<double>{2, 2})));
    EXPECT_TRUE(std::isnan(function(std::vector<double>{1}, std::vector<double>{2})));
    EXPECT_TRUE(std::isnan(function(std::vector<double>{}, std::vector<double>{})));
  }
}

}  // namespace
}  // namespace whence
