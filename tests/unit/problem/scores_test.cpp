// Scores of variants and nodes: shared passes against single ones, what they cost, and budgets.
#include <ATen/ops/eye.h>
#include <ATen/ops/where.h>

#include "problem_test.h"

namespace whence {
namespace {

using testing::choice;
using testing::near;

class Scores : public testing::ProblemTest {
 protected:
  static Variants every_target_row(const Problem& problem) {
    return {.target_mask = at::eye(problem.length(Side::target), at::kBool)};
  }

  /// Scores [B,T] of texts whose rows are replaced by hand, from a pass over everything.
  Tensor by_hand(const Problem& problem, const Variants& variants, std::int64_t variant) const {
    Inputs inputs = problem.inputs();
    const auto replaced = [&](const Tensor& mask, Side side) -> Tensor {
      if (problem.length(side) == 0) return {};
      const Tensor& own = problem.embeddings(side);
      if (!mask.defined()) return own;
      return at::where(mask[variant].view({1, -1, 1}), problem.baseline_embeddings(side), own);
    };
    inputs.target_embeddings = replaced(variants.target_mask, Side::target);
    inputs.source_embeddings = replaced(variants.source_mask, Side::source);
    const Tensor logits = problem.model().forward(inputs, {.positions = problem.predicting_positions()}).logits;
    const Tensor next = (problem.predicting_positions() + 1).clamp_min(0);
    return score->score({logits, inputs.target.ids.gather(1, next)}) * problem.step_mask();
  }

  void expect_scores(const Problem& problem, const Variants& variants) {
    const Tensor got = problem.scores(variants);
    for (std::int64_t p = 0; p < got.size(0); ++p) EXPECT_TRUE(near(got[p], by_hand(problem, variants, p))) << p;
  }
};

TEST_F(Scores, OfVariantsAreThoseOfWholePasses) {
  for (const Model* each : {&model, &alone, &translator}) {
    const Problem texts = problem(*each);
    expect_scores(texts, every_target_row(texts));
    Variants pairs = every_target_row(texts);
    pairs.target_mask = pairs.target_mask.logical_or(pairs.target_mask.roll(3, 1));
    expect_scores(texts, pairs);
  }
}

TEST_F(Scores, OfVariantsOfTheSource) {
  const Problem texts = problem(translator);
  Variants both{.target_mask = at::eye(4, 8, at::kBool), .source_mask = at::eye(4, at::kBool)};
  expect_scores(texts, {.source_mask = both.source_mask});
  expect_scores(texts, both);
}

TEST_F(Scores, VariantsCostTheRowsFromTheFirstReplacedOne) {
  const Problem texts = problem(model);
  texts.scores(every_target_row(texts));
  const auto replaced = [](const Sequence& text) { return rows(text) * (rows(text) + 1) / 2; };
  const auto base = [](const Sequence& text) { return rows(text); };
  EXPECT_EQ(texts.cost().forward_rows, over_texts(texts, base) + over_texts(texts, replaced));
  // A step is scored again only where it sees the replaced row.
  EXPECT_EQ(texts.cost().head_rows, 13 + over_texts(texts, [](const Sequence& text) { return read(text); }));
  EXPECT_EQ(texts.cost().forward_passes, 2);
  EXPECT_EQ(texts.cost().backward_rows, 0);

  const Work before = texts.cost();
  texts.scores();
  texts.scores(*testing::built_plugins().make_step_function(choice("logit")));
  EXPECT_EQ((texts.cost() - before).forward_passes, 0) << "the pass over the texts as they are serves all scores";
  texts.scores(every_target_row(texts));
  EXPECT_EQ((texts.cost() - before).forward_rows, over_texts(texts, replaced)) << "its prefix serves later variants";
}

TEST_F(Scores, VariantsWithoutSharedRowsCostWholePasses) {
  const Problem texts = problem(alone);
  texts.scores(every_target_row(texts));
  EXPECT_EQ(texts.cost().forward_rows,
            over_texts(texts, [](const Sequence& text) { return rows(text) * (rows(text) + 1); }));
}

TEST_F(Scores, VariantsThatNoStepSeesCostNothing) {
  const Problem texts = problem(model);
  Tensor mask = at::zeros({2, 8}, at::kBool);
  mask[1][7] = true;  // the last explained token of the longest text
  const Tensor got = texts.scores(Variants{.target_mask = mask});
  EXPECT_TRUE(near(got[0], texts.scores(), 0, 0));
  EXPECT_TRUE(near(got[1], texts.scores(), 0, 0));
  EXPECT_EQ(texts.cost().forward_rows, over_texts(texts, [](const Sequence& text) { return rows(text); }));
}

TEST_F(Scores, VariantsOfATargetAloneDoNotRunTheSource) {
  const testing::FakeModel translator(ModelKind::encoder_decoder);
  const Problem texts(translator, *score, {testing::fake_sequence({5, 1, 8, 10}, {1, 4}, {4, 3, 8, 6, 2})}, {});
  Variants variants{.target_mask = at::zeros({2, 4}, at::kBool), .source_mask = at::zeros({2, 5}, at::kBool)};
  variants.target_mask[0][2] = variants.source_mask[1][3] = true;
  texts.scores(variants);
  EXPECT_EQ(texts.cost().forward_rows, (3 + 5) + 1 + (3 + 5));
}

TEST_F(Scores, VariantsMayDifferBetweenTexts) {
  const Problem texts = problem(model);
  Tensor masks = at::zeros({2, 3, 8}, at::kBool);
  masks[0][0][2] = masks[0][2][4] = masks[1][1][0] = true;
  const Tensor got = texts.scores(Variants{.target_mask = masks});
  EXPECT_EQ(texts.cost().forward_rows,
            over_texts(texts, [](const Sequence& text) { return rows(text); }) + (7 - 2) + (5 - 4) + 3);
  const auto alone = [&](std::int64_t row) {
    Tensor mask = at::zeros({1, 8}, at::kBool);
    mask[0][row] = true;
    return texts.scores(Variants{.target_mask = mask})[0];
  };
  EXPECT_TRUE(near(got[0][0], alone(2)[0]));
  EXPECT_TRUE(near(got[0][1], texts.scores()[1], 0, 0));
  EXPECT_TRUE(near(got[0][2], alone(4)[2]));
  EXPECT_TRUE(near(got[1][1], alone(0)[1]));
}

TEST_F(Scores, TokensThatTheBaselineKeepsAreNoChange) {
  const Problem texts(model, *score, {testing::fake_sequence({1, 0, 5, 3}, {2, 4})}, {});
  texts.scores(every_target_row(texts));
  // Rows 0 (EOS keeps itself) and 1 (the unknown token itself) stay what they are.
  EXPECT_EQ(texts.cost().forward_rows, 3 + 1);
}

TEST_F(Scores, OfNodesGoAlongThePath) {
  const Problem texts = problem(model);
  const Tensor got = texts.scores(Nodes{{0.0, 0.25, 1.0}, {1, 1, 1}});
  EXPECT_TRUE(near(got[2], texts.scores(), 0, 0));
  const Variants all{.target_mask = at::eye(8, at::kBool).any(0, true)};
  EXPECT_TRUE(near(got[0], texts.scores(all)[0]));
  EXPECT_FALSE(near(got[1], got[0], 1e-2, 1e-2));
}

TEST_F(Scores, DoNotDependOnTheBudgetOrTheOrder) {
  const Problem roomy = problem(model);
  const Tensor expected = roomy.scores(every_target_row(roomy));
  const Work roomy_cost = roomy.cost();
  const auto with = [&](std::int64_t budget) {
    const Problem texts = problem(model, {.memory_bytes = budget});
    return std::pair{texts.scores(every_target_row(texts)), texts.cost()};
  };
  const auto [tight, cost] = with(testing::least_budget(with));
  EXPECT_TRUE(near(tight, expected, 1e-6, 0));
  EXPECT_GT(cost.forward_passes, 6);
  EXPECT_EQ(cost.forward_rows, roomy_cost.forward_rows) << "smaller passes, the same work";

  std::vector<Sequence> turned = texts(model);
  std::reverse(turned.begin(), turned.end());
  const Problem backwards(model, *score, turned, {});
  EXPECT_TRUE(near(backwards.scores(every_target_row(backwards)), expected.flip(1), 1e-6, 0));
}

TEST_F(Scores, SayWhenTheWeightsLeaveNoRoom) {
  const std::string error = testing::text_of_error([&] { problem(model, {.memory_bytes = 2000}).scores(); });
  EXPECT_EQ(error.find("memory: the budget of 2000 bytes does not hold a pass over one text of 7 tokens; "), 0u)
      << error;
}

}  // namespace
}  // namespace whence
