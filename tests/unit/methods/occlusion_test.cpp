#include <ATen/ops/zeros.h>

#include "problem_fixture.h"

namespace whence {
namespace {

using testing::near;
using testing::number;
using testing::text;
using testing::text_of_error;

class OcclusionMethod : public testing::MethodTest {
 protected:
  /// One forward for each window, with the rows replaced by hand; rows a step cannot see stay zero.
  static Tensor by_brute_force(const Problem& problem, Side side, std::int64_t window, std::int64_t stride) {
    const std::int64_t rows = problem.length(side), steps = problem.steps();
    const Tensor base = problem.scores();
    Tensor result = at::zeros({problem.batch_size(), rows, steps});
    for (std::int64_t b = 0; b < problem.batch_size(); ++b)
      for (std::int64_t t = 0; t < steps; ++t) {
        const std::int64_t visible = side == Side::source
                                         ? std::ssize(problem.sequences()[b].source)
                                         : problem.predicting_positions()[b][t].item<std::int64_t>() + 1;
        if (!problem.step_mask()[b][t].item<bool>()) continue;
        std::vector<double> sum(rows), count(rows);
        for (std::int64_t start = 0;; start += stride) {
          const std::int64_t end = std::min(start + window, visible);
          Tensor mask = at::zeros({1, rows}, at::kBool);
          mask.slice(1, start, end).fill_(true);
          Variants variant;
          (side == Side::source ? variant.source_mask : variant.target_mask) = mask;
          const double drop = (base[b][t] - problem.scores(variant)[0][b][t]).item<double>();
          for (std::int64_t r = start; r < end; ++r) sum[r] += drop, count[r] += 1;
          if (end == visible) break;
        }
        for (std::int64_t r = 0; r < visible; ++r) result[b][r][t] = sum[r] / count[r];
      }
    return result;
  }

  /// What the steps can see; the rest is the host's to blank.
  static Tensor visible_part(const Problem& problem, const Tensor& target) {
    Tensor seen = target.clone();
    for (std::int64_t b = 0; b < target.size(0); ++b)
      for (std::int64_t t = 0; t < target.size(2); ++t)
        seen[b].select(1, t).slice(0, problem.predicting_positions()[b][t].item<std::int64_t>() + 1).zero_();
    return seen;
  }
};

TEST_F(OcclusionMethod, MatchesBruteForceForEveryWindow) {
  for (const auto& [window, stride] :
       std::vector<std::pair<std::int64_t, std::int64_t>>{{1, 1}, {2, 1}, {3, 1}, {2, 2}, {3, 2}, {9, 4}}) {
    SCOPED_TRACE("window " + std::to_string(window) + ", stride " + std::to_string(stride));
    const Problem decoder = problem();
    const Attribution attribution =
        attribute(decoder, "occlusion", {{"sliding_window", number(window)}, {"stride", number(stride)}});
    EXPECT_TRUE(attribution.granularity.empty());
    EXPECT_TRUE(near(visible_part(decoder, attribution.target), by_brute_force(decoder, Side::target, window, stride)));
  }
}

TEST_F(OcclusionMethod, OccludesOneSideAtATime) {
  const Problem both = problem("logit", true);
  const Attribution attribution = attribute(both, "occlusion", {{"sliding_window", number(2)}});
  EXPECT_TRUE(near(attribution.source, by_brute_force(both, Side::source, 2, 1)));
  EXPECT_TRUE(near(visible_part(both, attribution.target), by_brute_force(both, Side::target, 2, 1)));
}

TEST_F(OcclusionMethod, IsSignedUnlessToldOtherwise) {
  const Problem decoder = problem("entropy");
  const Tensor is_signed = attribute(decoder, "occlusion").target;
  EXPECT_TRUE(is_signed.lt(0).any().item<bool>());
  EXPECT_TRUE(near(attribute(decoder, "occlusion", {{"compat", text("reference")}}).target, is_signed.abs()));
}

TEST_F(OcclusionMethod, EosStaysInTheBaseline) {
  const Tensor target = attribute(problem(), "occlusion").target;
  EXPECT_TRUE(near(target[1][1].slice(0, 0, 2), at::zeros({2})));  // token t1 ends a text
}

TEST_F(OcclusionMethod, RefusesGapsBetweenWindows) {
  const std::string error = text_of_error([&] {
    attribute(problem(), "occlusion", {{"sliding_window", number(2)}, {"stride", number(3)}});
  });
  EXPECT_NE(
      error.find("stride: at most sliding_window = 2, found 3; a larger stride leaves tokens that no window covers"),
      std::string::npos)
      << error;
}

}  // namespace
}  // namespace whence
