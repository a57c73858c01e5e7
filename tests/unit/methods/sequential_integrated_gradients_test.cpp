#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "problem_fixture.h"
#include "support/reductions.h"

namespace whence {
namespace {

using testing::near;
using testing::number;
using testing::text;

class SequentialMethod : public testing::MethodTest {
 protected:
  static Attribution sequential(const Problem& problem, Value::Map params = {}) {
    return attribute(problem, "sequential_integrated_gradients", std::move(params));
  }

  /// f(input) - f(input with one row at its baseline), for every row of a side: [B,rows,T].
  static Tensor differences(const Problem& problem, Side side) {
    const std::int64_t rows = problem.length(side);
    std::vector<Tensor> list;
    for (std::int64_t r = 0; r < rows; ++r) {
      Variants one;
      Tensor& mask = side == Side::source ? one.source_mask : one.target_mask;
      mask = at::zeros({1, rows}, at::kBool);
      mask[0][r] = true;
      list.push_back(problem.scores() - problem.scores(one)[0]);
    }
    return at::stack(list, 1);
  }

  /// Gradient of the probability of every step at one row, with that row at `alpha` of its path: [B,T,D].
  static Tensor gradient_at(const Problem& problem, std::int64_t row, double alpha) {
    Inputs inputs = problem.inputs();
    const Tensor rows = problem.embeddings(Side::target), baseline = problem.baseline_embeddings(Side::target);
    inputs.target_embeddings = rows.clone();
    inputs.target_embeddings.select(1, row).copy_(baseline.select(1, row) + alpha * (rows - baseline).select(1, row));
    const Forward pass = problem.model().forward(inputs, {.positions = problem.predicting_positions(), .trace = true});
    const Tensor next = (problem.predicting_positions() + 1).clamp_max(inputs.target.ids.size(1) - 1);
    const Tensor ids = inputs.target.ids.gather(1, next).unsqueeze(-1);
    // d p_id / d logits = p_id (e_id - p)
    const Tensor all = pass.logits.softmax(-1), own = all.gather(-1, ids);
    const Tensor cotangents = (at::zeros_like(all).scatter(-1, ids, 1.0) - all) * own;
    return problem.model()
        .pull_back(pass, {.logits = cotangents * problem.step_mask().unsqueeze(-1)}, {})
        .target.select(1, row);
  }
};

TEST_F(SequentialMethod, MatchesBruteForce) {
  const Problem decoder = problem();
  const Tensor got = sequential(decoder, {{"n_steps", number(3)}, {"method", text("riemann_middle")}}).target;
  const Tensor moved = decoder.embeddings(Side::target) - decoder.baseline_embeddings(Side::target);
  for (std::int64_t r = 0; r < decoder.length(Side::target); ++r) {
    const Tensor mean =
        (gradient_at(decoder, r, 1.0 / 6) + gradient_at(decoder, r, 0.5) + gradient_at(decoder, r, 5.0 / 6)) / 3;
    EXPECT_TRUE(near(got.select(1, r), mean * moved.select(1, r).unsqueeze(1), 1e-4, 1e-6)) << "row " << r;
  }
}

TEST_F(SequentialMethod, EveryTokenIsComplete) {
  for (const char* score : {"probability", "logit", "entropy"}) {
    SCOPED_TRACE(score);
    const Problem decoder = problem(score);
    const Attribution attribution = sequential(decoder, {{"n_steps", number(64)}});
    EXPECT_EQ(attribution.granularity, std::vector<std::string>{"hidden"});
    EXPECT_TRUE(near(attribution.target.sum(-1), differences(decoder, Side::target), 0, 2e-4));
    EXPECT_TRUE(near(attribution.step_scores.at("completeness_gap"), at::zeros({2, 3}), 0, 5e-4));
  }
}

TEST_F(SequentialMethod, MovesOneSideAtATime) {
  const Problem both = problem("probability", true);
  const Attribution attribution = sequential(both, {{"n_steps", number(64)}});
  EXPECT_TRUE(near(attribution.source.sum(-1), differences(both, Side::source), 0, 2e-4));
  EXPECT_TRUE(near(attribution.target.sum(-1), differences(both, Side::target), 0, 2e-4));
}

TEST_F(SequentialMethod, GapsOfTheTokensAddUp) {
  const Problem decoder = problem();
  const Attribution coarse = sequential(decoder, {{"n_steps", number(2)}});
  const Tensor gaps = coarse.target.sum(-1) - differences(decoder, Side::target);
  EXPECT_TRUE(near(coarse.step_scores.at("completeness_gap"), gaps.sum(1), 1e-4, 1e-5));
}

TEST_F(SequentialMethod, DeltasCompareWithTheBaselineOfAllTokens) {
  const Problem decoder = problem();
  const Attribution got = sequential(decoder, {{"n_steps", number(8)}, {"return_convergence_delta", Value(true)}});
  const Tensor ends = decoder.scores(Nodes{{0.0, 1.0}, {1.0, 1.0}});
  EXPECT_TRUE(near(got.step_scores.at("deltas"), got.target.sum({1, 3}) - (ends[1] - ends[0]), 1e-4, 1e-5));
}

TEST_F(SequentialMethod, DoublesNodesLikeIntegratedGradients) {
  const Problem decoder = problem();
  const Attribution got = sequential(
      decoder,
      {{"n_steps", number(4)}, {"method", text("trapezoid")}, {"tolerance", Value(1e-7)}, {"max_nodes", number(13)}});
  EXPECT_TRUE(near(got.target, sequential(decoder, {{"n_steps", number(13)}, {"method", text("trapezoid")}}).target,
                   1e-4, 1e-6));
  EXPECT_TRUE(near(got.step_scores.at("nodes"), decoder.step_mask().to(at::kFloat) * 13));
  EXPECT_TRUE(near(got.step_scores.at("tolerance_missed"), decoder.step_mask().to(at::kFloat)));
}

TEST_F(SequentialMethod, SumsOverHiddenUnitsAreExactDifferences) {
  const HiddenReduction& sum = testing::sum();
  for (const bool with_source : {false, true}) {
    const Problem summed = problem("probability", with_source, true, &sum);
    const Attribution exact = sequential(summed, {{"n_steps", number(1)}, {"return_convergence_delta", Value(true)}});
    EXPECT_TRUE(exact.granularity.empty());
    EXPECT_TRUE(near(exact.target, differences(summed, Side::target)));
    ASSERT_EQ(exact.notes.size(), 1u);
    EXPECT_EQ(exact.notes[0].find("sums over hidden units are score differences"), 0u);
    EXPECT_EQ(exact.step_scores.size(), 1u);
    EXPECT_EQ(summed.cost().backward_passes, 0);

    const Problem kept = problem("probability", with_source);
    const Attribution integrated =
        sequential(kept, {{"n_steps", number(64)}, {"return_convergence_delta", Value(true)}});
    EXPECT_TRUE(integrated.notes.empty());
    EXPECT_TRUE(near(exact.target, integrated.target.sum(-1), 0, 2e-4));
    if (with_source) {
      EXPECT_TRUE(near(exact.source, integrated.source.sum(-1), 0, 2e-4));
    }
    EXPECT_TRUE(near(exact.step_scores.at("deltas"), integrated.step_scores.at("deltas"), 0, 5e-4));
  }
}

TEST_F(SequentialMethod, SumsWithoutTheFactorAreIntegrated) {
  const HiddenReduction& sum = testing::sum();
  const Value::Map params = {{"n_steps", number(5)}, {"multiply_by_inputs", Value(false)}};
  const Attribution got = sequential(problem("probability", false, true, &sum), params);
  EXPECT_TRUE(got.granularity.empty());
  EXPECT_TRUE(got.notes.empty());
  EXPECT_TRUE(near(got.target, sequential(problem(), params).target.sum(-1), 1e-4, 1e-5));
}

}  // namespace
}  // namespace whence
