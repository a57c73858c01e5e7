// The bootstrap over steps.
#include <ATen/ops/full.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "host/evaluation_summary.h"

namespace whence::host {
namespace {

constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();

EvaluatedResults results_of(const std::vector<Tensor>& rows) {
  EvaluatedResults results{.score = "probability", .names = {"a", "b", "random"}, .random = 2};
  for (std::int64_t n = 0; n < rows[0].size(0); ++n) results.steps.push_back({"0", n, n + 1, "t"});
  results.measures.push_back({"zero", "m", true, at::stack(rows), at::stack({rows[2], rows[2]})});
  return results;
}

TEST(Summary, IsPaired) {
  const Tensor random = at::tensor({1.0, 5.0, 2.0, 9.0, 4.0}, at::kDouble);
  const auto rows = summarize(results_of({random + 3, random * 2, random}), 200, 0.95, 7);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_NEAR(rows[0].value.mean, 7.2, 1e-12);
  EXPECT_EQ(rows[0].value.steps, 5);
  EXPECT_LT(rows[0].value.low, 7);
  EXPECT_GT(rows[0].value.high, 7.5);
  EXPECT_GE(rows[0].value.low, 4);
  EXPECT_LE(rows[0].value.high, 12);
  // The steps vary, what the attribution has over the random one does not.
  EXPECT_NEAR(rows[0].over_random.low, 3, 1e-12);
  EXPECT_NEAR(rows[0].over_random.high, 3, 1e-12);
  EXPECT_LT(rows[1].over_random.low, rows[1].over_random.high);
  EXPECT_EQ(rows[2].over_random.high, 0);
}

TEST(Summary, DependsOnTheSeedAlone) {
  const Tensor random = at::tensor({1.0, 5.0, 2.0, 9.0, 4.0}, at::kDouble);
  const auto low = [&](std::uint64_t seed) {
    return summarize(results_of({random + 3, random * 2, random}), 50, 0.9, seed)[1].value.low;
  };
  EXPECT_EQ(low(1), low(1));
  EXPECT_NE(low(1), low(2));
}

TEST(Summary, LeavesOutWhatHasNoNumber) {
  const Tensor random = at::tensor({1.0, 5.0, 2.0}, at::kDouble);
  const auto rows = summarize(
      results_of({at::tensor({kNothing, 4.0, 8.0}, at::kDouble), at::full({3}, kNothing, at::kDouble), random}), 100,
      0.95, 0);
  EXPECT_EQ(rows[0].value.mean, 6);
  EXPECT_EQ(rows[0].value.steps, 2);
  EXPECT_NEAR(rows[0].over_random.mean, 2.5, 1e-12) << "over the steps where both have a number";
  EXPECT_EQ(rows[1].value.steps, 0);
  EXPECT_TRUE(std::isnan(rows[1].value.mean));
}

TEST(Summary, WritesARowForEveryStepMeasureAndAttribution) {
  const Tensor random = at::tensor({1.0, kNothing}, at::kDouble);
  const EvaluatedResults results = results_of({random, random, random});
  const auto json = nlohmann::json::parse(evaluation_json(results, summarize(results, 10, 0.95, 0), {}, 0, true));
  ASSERT_EQ(json.at("rows").size(), 6u);
  EXPECT_EQ(json.at("rows")[2].at("draws"), (nlohmann::json{1.0, 1.0}));
  EXPECT_FALSE(json.at("rows")[0].contains("draws"));
  EXPECT_TRUE(json.at("rows")[3].at("value").is_null());
  EXPECT_EQ(json.at("summary").size(), 3u);
  EXPECT_FALSE(nlohmann::json::parse(evaluation_json(results, {}, {}, 0, false)).contains("rows"));
}

}  // namespace
}  // namespace whence::host
