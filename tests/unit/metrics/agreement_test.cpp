// How far results agree, step by step.
#include "host/agreement.h"

#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>

#include "host/side_by_side.h"
#include "support/text_of_error.h"

namespace whence::host {
namespace {

/// A text of five tokens whose last two are explained.
NamedOutput result(const std::string& name, const std::vector<double>& first, const std::vector<double>& second) {
  NamedOutput made;
  made.spec.name = name;
  SequenceAttribution sequence;
  for (std::int64_t i = 0; i < 5; ++i) sequence.target.push_back({"t" + std::to_string(i), i});
  sequence.steps = {3, 5};
  sequence.target_attributions = at::zeros({5, 2}, at::kDouble);
  for (std::int64_t i = 0; i < 5; ++i) {
    sequence.target_attributions[i][0] = i < 3 ? first[static_cast<std::size_t>(i)] : NAN;
    sequence.target_attributions[i][1] = i < 4 ? second[static_cast<std::size_t>(i)] : NAN;
  }
  made.output.sequences.push_back(std::move(sequence));
  return made;
}

TEST(Agreements, AreMeansOverStepsOfTheTokensThatEachSees) {
  const std::vector<NamedOutput> results{result("a", {1, 2, 3}, {1, 2, 3, 4}), result("b", {3, 2, 1}, {2, 4, 6, 8}),
                                         result("c", {1, 2, 3}, {1, 1, 1, 1})};
  const auto pairs = agreements(results, {.top = 1});
  ASSERT_EQ(pairs.size(), 3u);
  EXPECT_EQ(pairs[0].first + pairs[0].second + pairs[1].first + pairs[1].second + pairs[2].first + pairs[2].second,
            "abacbc");
  EXPECT_NEAR(pairs[0].spearman.mean, 0, 1e-12) << "-1 and 1";
  EXPECT_NEAR(pairs[0].kendall.mean, 0, 1e-12);
  EXPECT_EQ(pairs[0].spearman.steps, 2);
  EXPECT_NEAR(pairs[0].cosine.mean, (10.0 / 14 + 1) / 2, 1e-12);
  EXPECT_NEAR(pairs[0].overlap.mean, 0.5, 1e-12);
  // A constant step ranks nothing, but has a direction.
  EXPECT_NEAR(pairs[1].pearson.mean, 1, 1e-12);
  EXPECT_EQ(pairs[1].pearson.steps, 1);
  EXPECT_EQ(pairs[1].cosine.steps, 2);
  EXPECT_NEAR(pairs[1].overlap.mean, (1 + 0.25) / 2, 1e-12) << "four equal tokens share the one place";
}

TEST(Agreements, OfAbsoluteValues) {
  const std::vector<NamedOutput> results{result("a", {1, 2, 3}, {1, 2, 3, 4}),
                                         result("b", {-1, -2, -3}, {1, -2, 3, -4})};
  EXPECT_LT(agreements(results)[0].spearman.mean, 0);
  EXPECT_NEAR(agreements(results, {.magnitude = true})[0].spearman.mean, 1, 1e-12);
}

TEST(Agreements, OverlapOfMoreTokensThanThereAre) {
  const std::vector<NamedOutput> results{result("a", {1, 2, 3}, {1, 2, 3, 4}), result("b", {3, 2, 1}, {4, 3, 2, 1})};
  EXPECT_EQ(agreements(results, {.top = 9})[0].overlap.mean, 1);
  EXPECT_NEAR(agreements(results, {.top = 3})[0].overlap.mean, (1 + 2 / 3.0) / 2, 1e-12);
}

TEST(SideBySide, NeedsTheSameSteps) {
  const NamedOutput first = result("a", {1, 2, 3}, {1, 2, 3, 4});
  NamedOutput other = result("b", {1, 2, 3}, {1, 2, 3, 4});
  require_same_steps({first, other});
  const auto error = [&] { return testing::text_of_error<InputError>([&] { require_same_steps({first, other}); }); };
  const std::string before = "'b' and 'a' do not explain the same steps: ",
                    after = "; attribute the same texts, for instance in one experiment";
  other.output.sequences[0].steps = {2, 5};
  EXPECT_EQ(error(), before + "text 0, positions [2, 5) are explained, expected [3, 5)" + after);
  other.output.sequences[0].target.pop_back();
  EXPECT_EQ(error(), before + "text 0, target token 4 is nothing, expected 't4' (id 4)" + after);
  other.output.sequences[0].target = first.output.sequences[0].target;
  other.output.sequences[0].steps = {3, 5};
  other.output.sequences[0].source.push_back({"s", 7});
  EXPECT_EQ(error(), before + "text 0, source token 0 is 's' (id 7), expected nothing" + after);
  other.output.sequences.clear();
  EXPECT_EQ(error(), before + "0 texts, expected 1" + after);
}

}  // namespace
}  // namespace whence::host
