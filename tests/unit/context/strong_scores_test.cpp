#include "whence/strong_scores.h"

#include <gtest/gtest.h>

#include <cmath>

namespace whence {
namespace {

using Indices = std::vector<std::int64_t>;

const std::vector<float> kScores{0.06047279F, 0.19968389F, 0.23495871F, 0.20952857F, 0.38214466F};

/// mean + weight * sqrt(sum of squared differences / (n - 1))
float by_hand(const std::vector<float>& scores, double weight) {
  double sum = 0, squares = 0;
  for (const float score : scores) sum += score;
  const double mean = sum / static_cast<double>(scores.size());
  for (const float score : scores) squares += (score - mean) * (score - mean);
  return static_cast<float>(mean + weight * std::sqrt(squares / static_cast<double>(scores.size() - 1)));
}

TEST(StrongScores, ThresholdIsTheMeanAndUnbiasedDeviations) {
  EXPECT_NEAR(StrongScores{}.threshold(kScores), 0.3319F, 1e-4);
  for (const double weight : {-1.0, 0.0, 0.5, 1.0, 3.0})
    EXPECT_NEAR((StrongScores{.std_weight = weight, .top_k = {}}.threshold(kScores)), by_hand(kScores, weight), 1e-6);
  EXPECT_FLOAT_EQ(StrongScores{}.threshold({0.25F}), 0.25F);
  EXPECT_FLOAT_EQ(StrongScores{}.threshold({}), 0);
}

TEST(StrongScores, TheStrongestComeFirst) {
  EXPECT_EQ(StrongScores{}.of(kScores), Indices{4});
  const StrongScores mean{.std_weight = 0, .top_k = {}};
  EXPECT_EQ(mean.of(kScores), (Indices{4, 2}));
  EXPECT_EQ((StrongScores{.std_weight = -9, .top_k = 3}.of(kScores)), (Indices{4, 2, 3}));
  EXPECT_EQ((StrongScores{.std_weight = -9, .top_k = 30}.of(kScores)), (Indices{4, 2, 3, 1, 0}));
  // By magnitude against a signed threshold; of equal ones the first comes first.
  EXPECT_EQ(mean.of({-3, 1, 3, -1}), (Indices{0, 2, 1, 3}));
}

TEST(StrongScores, ZeroNeverStandsOut) {
  EXPECT_EQ(StrongScores{}.of({0, 0, 0}), Indices{});
  EXPECT_EQ((StrongScores{.std_weight = -5, .top_k = {}}.of({0, 1, 0})), Indices{1});
  EXPECT_EQ(StrongScores{}.of({}), Indices{});
}

TEST(StrongScores, ThresholdMayBeThatOfMoreScores) {
  const StrongScores mean{.std_weight = 0, .top_k = {}};
  EXPECT_EQ(mean.of({1, 2}, {1, 2, 9}), Indices{});
  EXPECT_EQ(mean.of({1, 5}, {1, 5, 9}), Indices{1});
}

}  // namespace
}  // namespace whence
