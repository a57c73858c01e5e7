// Gradients at the input: reduction inside the passes, cost and budgets.
#include "problem_test.h"

namespace whence {
namespace {

using testing::near;

class InputGradientsTest : public testing::ProblemTest {
 protected:
  static constexpr GradientRequest kProduct{.multiply = Multiply::input};
};

TEST_F(InputGradientsTest, ReducedAsTheyAreComputedOrAfterwards) {
  for (const Model* each : {static_cast<const Model*>(&model), static_cast<const Model*>(&translator)}) {
    for (const bool absolute : {false, true}) {
      const GradientRequest request{.multiply = Multiply::input_minus_baseline, .absolute = absolute};
      const InputGradients full = problem(*each).gradients(request);
      EXPECT_EQ(full.granularity, std::vector<std::string>{"hidden"});
      for (const testing::Reduction* reduction : {&testing::norm(), &testing::sum()}) {
        const Problem texts = problem(*reduction, each);
        const InputGradients reduced = texts.gradients(request);
        EXPECT_TRUE(reduced.granularity.empty());
        EXPECT_TRUE(texts.reduced_hidden_units());
        EXPECT_TRUE(near(reduced.target, reduction->reduce(full.target)));
        EXPECT_EQ(reduced.source.defined(), full.source.defined());
        if (full.source.defined()) {
          EXPECT_TRUE(near(reduced.source, reduction->reduce(full.source)));
        }
      }
    }
  }
}

TEST_F(InputGradientsTest, KeepHiddenUnitsOnRequest) {
  const Problem texts = problem(testing::norm());
  const InputGradients kept = texts.gradients({.multiply = Multiply::input, .keep_hidden = true});
  EXPECT_EQ(kept.granularity, std::vector<std::string>{"hidden"});
  EXPECT_FALSE(texts.reduced_hidden_units());
  EXPECT_TRUE(near(kept.target, problem(model).gradients(kProduct).target));
}

TEST_F(InputGradientsTest, SumsAreToldAndCountAsReduced) {
  const Problem full = problem(model), norms = problem(testing::norm()), sums = problem(testing::sum());
  EXPECT_FALSE(full.sums_hidden_units());
  EXPECT_FALSE(norms.sums_hidden_units());
  EXPECT_FALSE(norms.reduced_hidden_units());
  EXPECT_TRUE(sums.sums_hidden_units());
  EXPECT_TRUE(sums.reduced_hidden_units());
}

TEST_F(InputGradientsTest, CostOnePassAndTheRowsThatStepsRead) {
  const Problem texts = problem(model);
  texts.gradients(kProduct);
  texts.scores();
  EXPECT_EQ(texts.cost().forward_rows, over_texts(texts, [](const Sequence& text) { return rows(text); }));
  EXPECT_EQ(texts.cost().backward_rows, over_texts(texts, [](const Sequence& text) { return read(text); }));
  EXPECT_EQ(texts.cost().head_rows, 13);
  EXPECT_EQ(texts.cost().forward_passes, 1) << "the scores come with the gradients";
}

TEST_F(InputGradientsTest, DoNotDependOnTheBudget) {
  const Problem roomy = problem(testing::norm());
  const Tensor expected = roomy.gradients(kProduct).target;
  const Work roomy_cost = roomy.cost();
  const auto with = [&](std::int64_t budget) {
    const Problem texts = problem(model, {.memory_bytes = budget, .hidden_reduction = &testing::norm()});
    return std::pair{texts.gradients(kProduct).target, texts.cost()};
  };
  const auto [tight, cost] = with(testing::least_budget(with));
  EXPECT_TRUE(near(tight, expected, 1e-6, 0));
  EXPECT_EQ(cost.backward_passes, 13) << "step by step";
  EXPECT_EQ(cost.backward_rows, roomy_cost.backward_rows);
}

}  // namespace
}  // namespace whence
