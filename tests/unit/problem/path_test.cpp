// Integrals along paths: against sums of single gradients, nested levels, gap, error estimate, cost and budgets.
#include <ATen/ops/eye.h>
#include <ATen/ops/where.h>
#include <torch/csrc/autograd/autograd.h>

#include <set>

#include "problem_test.h"

namespace whence {
namespace {

using testing::near;

constexpr GradientRequest kDifference{.multiply = Multiply::input_minus_baseline};

/// `count` points in the middles of equal intervals.
Nodes middle(std::int64_t count) {
  Nodes nodes{{}, std::vector<double>(static_cast<std::size_t>(count), 1.0 / static_cast<double>(count))};
  for (std::int64_t k = 0; k < count; ++k)
    nodes.alphas.push_back((static_cast<double>(k) + 0.5) / static_cast<double>(count));
  return nodes;
}

/// The trapezoid over two intervals, then their midpoints, twice.
Path nested() {
  return {.levels = {{{0, 0.5, 1}, {0.25, 0.5, 0.25}},
                     {{0.25, 0.75}, {0.25, 0.25}},
                     {{0.125, 0.375, 0.625, 0.875}, {0.125, 0.125, 0.125, 0.125}}}};
}

Nodes flat_trapezoid(int intervals) {
  Nodes nodes{{}, {}};
  for (int k = 0; k <= intervals; ++k) {
    nodes.alphas.push_back(static_cast<double>(k) / intervals);
    nodes.weights.push_back((k == 0 || k == intervals ? 0.5 : 1.0) / intervals);
  }
  return nodes;
}

class PathTest : public testing::ProblemTest {
 protected:
  /// Gradients [B,L,T,D] with respect to one side where every row stands at alpha, or `row` alone if it is not
  /// negative, computed with one pass of the model over everything.
  Tensor at_point(const Problem& texts, Side side, double alpha, std::int64_t row) const {
    Inputs inputs = texts.inputs();
    const auto rows = [&](Side of) -> Tensor {
      if (texts.length(of) == 0) return {};
      const Tensor& end = texts.embeddings(of);
      const Tensor moved = texts.baseline_embeddings(of) + alpha * (end - texts.baseline_embeddings(of));
      if (row < 0) return moved;
      if (of != side) return end;
      Tensor one = end.clone();
      one.select(1, row).copy_(moved.select(1, row));
      return one;
    };
    inputs.target_embeddings = rows(Side::target);
    inputs.source_embeddings = rows(Side::source);
    const Forward forward = texts.model().forward(inputs, {.positions = texts.predicting_positions(), .trace = true});
    const at::AutoGradMode with_grad(true);
    const Tensor logits = forward.logits.detach().requires_grad_(true);
    const Tensor next = (texts.predicting_positions() + 1).clamp_min(0);
    const Tensor scores = score->score({logits, inputs.target.ids.gather(1, next)}) * texts.step_mask();
    const Gradients gradients =
        texts.model().pull_back(forward, {torch::autograd::grad({scores.sum()}, {logits}).front()},
                                {.source = texts.length(Side::source) > 0, .target = true});
    return side == Side::source ? gradients.source : gradients.target;
  }

  Tensor expected(const Problem& texts, Side side, const Nodes& nodes, bool one_position) const {
    const Tensor difference = (texts.embeddings(side) - texts.baseline_embeddings(side)).unsqueeze(2);
    Tensor sum = at::zeros({texts.batch_size(), texts.length(side), texts.steps(), difference.size(3)});
    for (std::size_t k = 0; k < nodes.alphas.size(); ++k) {
      if (!one_position) {
        sum += nodes.weights[k] * at_point(texts, side, nodes.alphas[k], -1);
        continue;
      }
      for (std::int64_t row = 0; row < texts.length(side); ++row)
        sum.select(1, row) += nodes.weights[k] * at_point(texts, side, nodes.alphas[k], row).select(1, row);
    }
    return sum * difference;
  }

  /// Relative error estimate of every step from token scores [B,L,T] of two rules, on the target side.
  static Tensor estimate(const Tensor& a, const Tensor& b, const Tensor& whole) {
    const Tensor size = whole.abs().sum(1);
    return at::where(size > 0, (a - b).abs().sum(1) / 2 / size, 0.0);
  }
};

TEST_F(PathTest, IsTheSumOfTheGradientsAtItsNodes) {
  for (const Model* each :
       {static_cast<const Model*>(&model), static_cast<const Model*>(&alone), static_cast<const Model*>(&translator)})
    for (const bool one_position : {false, true}) {
      const Problem texts = problem(*each);
      const PathIntegral got = texts.integrate({.levels = {middle(3)}, .one_position = one_position}, kDifference);
      EXPECT_TRUE(near(got.target, expected(texts, Side::target, middle(3), one_position))) << one_position;
      if (texts.length(Side::source) > 0) {
        EXPECT_TRUE(near(got.source, expected(texts, Side::source, middle(3), one_position))) << one_position;
      }
      EXPECT_TRUE(near(got.nodes, texts.step_mask().to(at::kFloat) * 3, 0, 0));
    }
}

TEST_F(PathTest, ReducesHiddenUnitsAfterAllNodes) {
  for (const bool one_position : {false, true})
    for (const bool absolute : {false, true}) {
      GradientRequest request = kDifference;
      request.absolute = absolute;
      const Path path{.levels = {middle(4)}, .one_position = one_position};
      const PathIntegral full = problem(model).integrate(path, request);
      for (const testing::Reduction* reduction : {&testing::norm(), &testing::sum()}) {
        const Problem texts = problem(*reduction);
        const PathIntegral reduced = texts.integrate(path, request);
        EXPECT_TRUE(reduced.granularity.empty());
        EXPECT_TRUE(near(reduced.target, reduction->reduce(full.target)));
        EXPECT_TRUE(near(reduced.gap, full.gap));
      }
    }
}

TEST_F(PathTest, NestedLevelsAreTheFlatRule) {
  for (const bool one_position : {false, true}) {
    const Problem texts = problem(model);
    Path path = nested();
    path.one_position = one_position;
    const PathIntegral got = texts.integrate(path, kDifference);
    const PathIntegral flat =
        texts.integrate({.levels = {flat_trapezoid(8)}, .one_position = one_position}, kDifference);
    EXPECT_TRUE(near(got.target, flat.target));
    EXPECT_TRUE(near(got.gap, flat.gap));
    EXPECT_TRUE(near(got.nodes, texts.step_mask().to(at::kFloat) * 9, 0, 0));
  }
}

TEST_F(PathTest, GapIsWhatTheSumLacks) {
  const Problem texts = problem(model);
  const PathIntegral got = texts.integrate({.levels = {middle(2)}}, kDifference);
  const Tensor ends = texts.scores(Nodes{{0.0, 1.0}, {1, 1}});
  EXPECT_TRUE(near(got.gap, got.target.sum({1, 3}) - (ends[1] - ends[0])));
  EXPECT_GT(got.gap.abs().max().item<double>(), 1e-3);
  EXPECT_LT(texts.integrate({.levels = {middle(200)}}, kDifference).gap.abs().max().item<double>(), 1e-4);
  EXPECT_FALSE(texts.integrate({.levels = {middle(2)}}, {}).gap.defined())
      << "nothing that a mean gradient must sum to";
}

TEST_F(PathTest, GapOfOnePositionsAddsUpTheirPaths) {
  for (const Model* each : {static_cast<const Model*>(&model), static_cast<const Model*>(&translator)}) {
    const Problem texts = problem(*each);
    const PathIntegral got = texts.integrate({.levels = {middle(2)}, .one_position = true}, kDifference);
    Tensor total = got.target.sum({1, 3});
    for (const Side side : {Side::source, Side::target}) {
      if (texts.length(side) == 0) continue;
      Variants each_row;
      (side == Side::source ? each_row.source_mask : each_row.target_mask) = at::eye(texts.length(side), at::kBool);
      total -= (texts.scores() - texts.scores(each_row)).sum(0);
      if (side == Side::source) total += got.source.sum({1, 3});
    }
    EXPECT_TRUE(near(got.gap, total));
  }
}

TEST_F(PathTest, ErrorComparesTheTwoHalvesOfALevel) {
  const Nodes all = middle(5);  // halves of three and two nodes
  const auto half = [&](std::size_t from) {
    Nodes nodes{{}, {}};
    for (std::size_t k = from; k < 5; k += 2) nodes.alphas.push_back(all.alphas[k]);
    nodes.weights.assign(nodes.alphas.size(), 1.0 / static_cast<double>(nodes.alphas.size()));
    return nodes;
  };
  for (const testing::Reduction* reduction : {&testing::norm(), &testing::sum()})
    for (const bool one_position : {false, true}) {
      const Problem texts = problem(*reduction);
      const auto with = [&](const Nodes& nodes) {
        return texts.integrate({.levels = {nodes}, .one_position = one_position}, kDifference);
      };
      const PathIntegral got = with(all);
      EXPECT_TRUE(near(got.error, estimate(with(half(0)).target, with(half(1)).target, got.target)));
      EXPECT_GT(got.error[0][0].item<double>(), 1e-4);
    }
  const PathIntegral full = problem(model).integrate({.levels = {all}}, kDifference);
  EXPECT_TRUE(near(full.error, problem(testing::norm()).integrate({.levels = {all}}, kDifference).error))
      << "hidden units that are kept count by their norm";
  EXPECT_FALSE(problem(model).integrate({.levels = {middle(1)}}, kDifference).error.defined());
}

TEST_F(PathTest, ErrorComparesTheLastLevelWithTheEarlierOnes) {
  const Problem texts = problem(testing::norm());
  const PathIntegral got = texts.integrate(nested(), kDifference);
  const Nodes last{{0.125, 0.375, 0.625, 0.875}, {0.25, 0.25, 0.25, 0.25}};
  EXPECT_TRUE(near(got.error, estimate(texts.integrate({.levels = {flat_trapezoid(4)}}, kDifference).target,
                                       texts.integrate({.levels = {last}}, kDifference).target, got.target)));
}

TEST_F(PathTest, StepsStopWhenTheirErrorIsSmallEnough) {
  for (const bool one_position : {false, true}) {
    const Problem texts = problem(testing::norm());
    Path path = nested();
    path.one_position = one_position;
    const auto after = [&](std::size_t levels) {
      Path some = path;
      some.tolerance = 0;
      some.levels.resize(levels);
      return texts.integrate(some, kDifference);
    };
    const PathIntegral stages[] = {after(1), after(2), after(3)};
    // Between the errors that the steps reach, so that they stop at different levels.
    path.tolerance = stages[1].error.masked_select(texts.step_mask()).median().item<double>();
    const Work before = texts.cost();
    const PathIntegral got = texts.integrate(path, kDifference);
    const Work work = texts.cost() - before;
    std::set<double> counts;
    for (std::int64_t b = 0; b < 3; ++b)
      for (std::int64_t t = 0; t < texts.sequences()[b].steps.size(); ++t) {
        const auto error = [&](int stage) { return stages[stage].error[b][t].item<double>(); };
        const int level = error(0) <= path.tolerance ? 0 : error(1) <= path.tolerance ? 1 : 2;
        const double nodes = level == 0 ? 3 : level == 1 ? 5 : 9;
        counts.insert(nodes);
        EXPECT_EQ(got.nodes[b][t].item<double>(), nodes);
        EXPECT_TRUE(near(got.target[b].select(1, t), stages[level].target[b].select(1, t)));
        EXPECT_TRUE(near(got.error[b][t], stages[level].error[b][t]));
        EXPECT_TRUE(near(got.gap[b][t], stages[level].gap[b][t]));
      }
    EXPECT_GE(counts.size(), 2u);
    const Work again = texts.cost();
    after(3);
    EXPECT_LT(work.backward_rows, (texts.cost() - again).backward_rows) << "steps that are done are not carried on";
  }
}

TEST_F(PathTest, CostsAPassForEveryNode) {
  const Problem texts = problem(model);
  texts.integrate({.levels = {middle(4)}}, kDifference);
  EXPECT_EQ(texts.cost().forward_rows, 6 * over_texts(texts, [](const Sequence& text) { return rows(text); }));
  EXPECT_EQ(texts.cost().backward_rows, 4 * over_texts(texts, [](const Sequence& text) { return read(text); }));
  const Work before = texts.cost();
  texts.scores();
  EXPECT_EQ((texts.cost() - before).forward_passes, 0);
}

TEST_F(PathTest, OnePositionCostsTheRowsFromTheMovedOne) {
  const Problem texts = problem(model);
  texts.integrate({.levels = {middle(4)}, .one_position = true}, kDifference);
  const auto from_each = [](const Sequence& text) { return rows(text) * (rows(text) + 1) / 2; };
  EXPECT_EQ(texts.cost().forward_rows,
            over_texts(texts, [](const Sequence& text) { return rows(text); }) + 5 * over_texts(texts, from_each));
  EXPECT_EQ(texts.cost().backward_rows, 4 * over_texts(texts, [](const Sequence& text) {
                                          std::int64_t sum = 0;
                                          for (std::int64_t row = 0; row < rows(text); ++row) sum += read(text, row);
                                          return sum;
                                        }));
}

TEST_F(PathTest, DoesNotDependOnTheBudgetOrTheOrder) {
  for (const testing::Reduction* reduction : {&testing::norm(), &testing::sum()})
    for (const bool one_position : {false, true}) {
      Path path = nested();
      path.one_position = one_position;
      path.tolerance = 0.05;
      const PathIntegral roomy = problem(*reduction).integrate(path, kDifference);
      const auto with = [&](std::int64_t budget) {
        return problem(model, {.memory_bytes = budget, .hidden_reduction = reduction}).integrate(path, kDifference);
      };
      const PathIntegral tight = with(testing::least_budget(with));
      std::vector<Sequence> turned = texts(model);
      std::reverse(turned.begin(), turned.end());
      Problem::Options options;
      options.hidden_reduction = reduction;
      const PathIntegral backwards = Problem(model, *score, turned, options).integrate(path, kDifference);
      for (const auto member : std::initializer_list<Tensor PathIntegral::*>{&PathIntegral::gap, &PathIntegral::error,
                                                                             &PathIntegral::nodes}) {
        EXPECT_TRUE(near(tight.*member, roomy.*member, 1e-5, 1e-7));
        EXPECT_TRUE(near((backwards.*member).flip(0), roomy.*member, 1e-5, 1e-7));
      }
      EXPECT_TRUE(near(tight.target, roomy.target, 1e-6, 1e-7));
      EXPECT_TRUE(near(backwards.target.flip(0), roomy.target, 1e-6, 1e-7));
    }
}

TEST_F(PathTest, RefusesPathsWithoutNodes) {
  const Problem texts = problem(model);
  const std::string start =
      "a path needs at least one level, and in each at least one node and a weight for each node, found ";
  EXPECT_EQ(testing::text_of_error([&] { texts.integrate({.levels = {}}); }), start + "no level");
  EXPECT_EQ(testing::text_of_error([&] { texts.integrate({.levels = {Nodes{}, {{0.5}, {}}}}); }),
            start + "1 nodes and 0 weights");
}

}  // namespace
}  // namespace whence
