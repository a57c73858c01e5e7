// Gradients at points of a method's own: against single gradients, moments, reduction, cost and budgets.
#include <ATen/ops/stack.h>

#include "problem_test.h"

namespace whence {
namespace {

using testing::near;

class PointsTest : public testing::ProblemTest {
 protected:
  /// Points on the straight path from baseline to input.
  static Points straight(const Problem& texts, std::vector<double> alphas) {
    Points points{.count = std::ssize(alphas)};
    points.rows = [&texts, alphas](const PointPlace& place) {
      const Tensor start = texts.baseline_embeddings(place.side)[place.sequence];
      return start +
             alphas[static_cast<std::size_t>(place.point)] * (texts.embeddings(place.side)[place.sequence] - start);
    };
    return points;
  }

  /// Gradients of each point alone: [K,B,L,T,D] of one side.
  static Tensor each_alone(const Problem& texts, const std::vector<double>& alphas, Side side) {
    std::vector<Tensor> all;
    for (const double alpha : alphas) {
      const PathIntegral one = texts.integrate({.levels = {{{alpha}, {1.0}}}}, {.keep_hidden = true});
      all.push_back(side == Side::source ? one.source : one.target);
    }
    return at::stack(all);
  }

  const std::vector<double> alphas{0.1, 0.45, 0.8, 0.9, 0.2};
};

TEST_F(PointsTest, SumWeighedGradientsTimesTheirFactors) {
  for (const Model* each : {static_cast<const Model*>(&model), static_cast<const Model*>(&translator)}) {
    const Problem texts = problem(*each);
    Points points = straight(texts, alphas);
    points.weight = 0.5;
    points.factor = [&](const PointPlace& place) {
      return texts.embeddings(place.side)[place.sequence] * static_cast<double>(place.point + 1);
    };
    const PointGradients got = texts.gradients(points);
    Tensor total = at::zeros({texts.batch_size(), texts.steps()});
    for (const Side side : {Side::source, Side::target}) {
      if (!texts.attributes(side)) continue;
      const Tensor alone = each_alone(texts, alphas, side);
      const Tensor factors = at::arange(1, 6, at::kFloat).view({5, 1, 1, 1, 1}) * texts.embeddings(side).unsqueeze(2);
      const Tensor expected = (0.5 * alone * factors).sum(0);
      EXPECT_TRUE(near(side == Side::source ? got.source : got.target, expected, 1e-4));
      total += expected.sum({1, 3});
    }
    EXPECT_TRUE(near(got.total, total, 1e-4, 1e-5));
    EXPECT_EQ(got.granularity, std::vector<std::string>{"hidden"});
  }
}

TEST_F(PointsTest, EstimateTheErrorAsPathsDo) {
  const Problem texts = problem(model), path = problem(model);
  Points points = straight(texts, alphas);
  points.weight = 0.2;
  const PathIntegral expected = path.integrate({.levels = {{alphas, std::vector<double>(5, 0.2)}}});
  EXPECT_TRUE(near(texts.gradients(points).error, expected.error));
}

TEST_F(PointsTest, TakeSquaresAndVarianceOfEveryHiddenUnit) {
  const Problem texts = problem(model);
  const Tensor alone = each_alone(texts, alphas, Side::target);
  Points points = straight(texts, alphas);
  points.weight = 0.2;
  points.moment = Moment::squares;
  EXPECT_TRUE(near(texts.gradients(points).target, alone.square().mean(0)));
  points.moment = Moment::variance;
  const PointGradients variance = texts.gradients(points);
  EXPECT_TRUE(near(variance.target, alone.var(0, /*unbiased=*/false), 1e-4));
  EXPECT_FALSE(variance.error.defined());
}

TEST_F(PointsTest, ReduceHiddenUnitsAfterTheMoment) {
  for (const Moment moment : {Moment::sum, Moment::squares, Moment::variance})
    for (const testing::Reduction* reduction : {&testing::norm(), &testing::sum()}) {
      const auto target = [&](const Problem& texts) {
        Points points = straight(texts, alphas);
        points.moment = moment;
        return texts.gradients(points, {.multiply = Multiply::input}).target;
      };
      EXPECT_TRUE(near(target(problem(*reduction)), reduction->reduce(target(problem(model))), 1e-4, 1e-5));
    }
}

TEST_F(PointsTest, ScoreTheTextsThere) {
  const Problem texts = problem(model);
  EXPECT_TRUE(near(texts.scores(straight(texts, alphas)), texts.scores(Nodes{alphas, std::vector<double>(5, 1.0)})));
}

TEST_F(PointsTest, DoNotDependOnTheBudget) {
  for (const Moment moment : {Moment::sum, Moment::variance}) {
    const auto with = [&](std::int64_t budget) {
      const Problem texts = problem(model, {.memory_bytes = budget, .hidden_reduction = &testing::norm()});
      Points points = straight(texts, alphas);
      points.moment = moment;
      return std::pair{texts.gradients(points).target, texts.cost()};
    };
    const auto [roomy, few] = with(0);
    const auto [tight, many] = with(testing::least_budget(with));
    EXPECT_TRUE(near(tight, roomy, 1e-5, 1e-7));
    EXPECT_EQ(many.backward_rows, few.backward_rows);
    EXPECT_GT(many.backward_passes, few.backward_passes);
  }
}

TEST_F(PointsTest, KeepWhatIsNotAttributed) {
  const Problem texts = problem(translator, {.attribute_target = false});
  Points points{.count = 1};
  points.rows = [&](const PointPlace& place) {
    EXPECT_EQ(place.side, Side::source);
    return texts.embeddings(Side::source)[place.sequence];
  };
  const PointGradients got = texts.gradients(points);
  EXPECT_FALSE(got.target.defined());
  EXPECT_TRUE(near(got.source, texts.gradients().source));
}

TEST_F(PointsTest, RandomNumbersAreThoseOfTheSequence) {
  Problem::Options options;
  options.seed = 4;
  const Problem texts = problem(model, options);
  const Problem last(model, *score, {ProblemTest::texts(model).back()}, options);
  EXPECT_TRUE(texts.random(2, "a", 1).uniform({3}).equal(last.random(0, "a", 1).uniform({3})));
  EXPECT_FALSE(texts.random(1, "a", 1).uniform({3}).equal(last.random(0, "a", 1).uniform({3})));
  options.seed = 5;
  EXPECT_FALSE(problem(model, options).random(2, "a", 1).uniform({3}).equal(last.random(0, "a", 1).uniform({3})));
}

}  // namespace
}  // namespace whence
