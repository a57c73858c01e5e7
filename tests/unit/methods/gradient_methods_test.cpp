#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>

#include "problem_fixture.h"

namespace whence {
namespace {

using testing::choice;
using testing::near;
using testing::number;
using testing::numbers;
using testing::text;
using testing::text_of_error;

class GradientMethods : public testing::MethodTest {
 protected:
  /// d score / d embedding by central differences, for every row, step and hidden unit of one side.
  Tensor finite_differences(const Problem& problem, Side side) {
    constexpr double kStep = 1e-2;
    const Tensor& rows = problem.embeddings(side);
    const Model& model = problem.model();
    Inputs inputs;
    inputs.target = padded(problem, Side::target);
    inputs.source = padded(problem, Side::source);
    inputs.target_embeddings = problem.embeddings(Side::target);
    inputs.source_embeddings = problem.embeddings(Side::source);
    Tensor& moved = side == Side::target ? inputs.target_embeddings : inputs.source_embeddings;
    Tensor result = at::zeros({rows.size(0), rows.size(1), problem.steps(), rows.size(2)});
    for (std::int64_t l = 0; l < rows.size(1); ++l)
      for (std::int64_t d = 0; d < rows.size(2); ++d) {
        const auto probability = [&](double by) {
          moved = rows.clone();
          moved.select(1, l).select(-1, d).add_(by);
          const Tensor logits =
              model.forward(inputs, {.positions = problem.predicting_positions()}).logits.to(at::kDouble);
          return logits.softmax(-1).gather(-1, step_ids(problem).unsqueeze(-1)).squeeze(-1);
        };
        const Tensor slope = (probability(kStep) - probability(-kStep)) / (2 * kStep);
        result.select(1, l).select(-1, d).copy_(slope * problem.step_mask());
      }
    return result;
  }

  static PaddedIds padded(const Problem& problem, Side side) {
    if (problem.length(side) == 0) return {};
    PaddedIds result{at::zeros({problem.batch_size(), problem.length(side)}, at::kLong),
                     at::zeros({problem.batch_size()}, at::kLong)};
    for (std::int64_t b = 0; b < problem.batch_size(); ++b) {
      const auto& tokens = side == Side::source ? problem.sequences()[b].source : problem.sequences()[b].target;
      for (std::int64_t i = 0; i < std::ssize(tokens); ++i) result.ids[b][i] = tokens[i].id;
      result.lengths[b] = std::ssize(tokens);
    }
    return result;
  }

  static Tensor step_ids(const Problem& problem) {
    const PaddedIds target = padded(problem, Side::target);
    const Tensor next = (problem.predicting_positions() + 1).clamp_max(target.ids.size(1) - 1);
    return target.ids.gather(1, next);
  }
};

TEST_F(GradientMethods, SaliencyIsTheMagnitudeOfFiniteDifferences) {
  const Problem decoder = problem();
  const Attribution attribution = attribute(decoder, "saliency");
  EXPECT_EQ(attribution.granularity, std::vector<std::string>{"hidden"});
  EXPECT_FALSE(attribution.source.defined());
  EXPECT_TRUE(near(attribution.target, finite_differences(decoder, Side::target).abs(), 1e-2, 1e-4));
}

TEST_F(GradientMethods, SaliencyKeepsSignsOnRequest) {
  const Problem decoder = problem();
  EXPECT_TRUE(near(attribute(decoder, "saliency", {{"abs", Value(false)}}).target,
                   finite_differences(decoder, Side::target), 1e-2, 1e-4));
}

TEST_F(GradientMethods, BothSidesOfAnEncoderDecoder) {
  const Problem both = problem("probability", true);
  const Attribution attribution = attribute(both, "saliency", {{"abs", Value(false)}});
  EXPECT_TRUE(near(attribution.target, finite_differences(both, Side::target), 1e-2, 1e-4));
  EXPECT_TRUE(near(attribution.source, finite_differences(both, Side::source), 1e-2, 1e-4));
  const Attribution source_only = attribute(problem("probability", true, false), "saliency", {{"abs", Value(false)}});
  EXPECT_FALSE(source_only.target.defined());
  EXPECT_TRUE(near(source_only.source, attribution.source));
}

TEST_F(GradientMethods, InputXGradientMultipliesByTheEmbedding) {
  const Problem decoder = problem();
  const Tensor gradient = attribute(decoder, "saliency", {{"abs", Value(false)}}).target;
  EXPECT_TRUE(
      near(attribute(decoder, "input_x_gradient").target, gradient * decoder.embeddings(Side::target).unsqueeze(2)));
}

/// Sum over everything attributed, per step, against f(input) - f(baseline).
void expect_complete(const Problem& problem, const Attribution& attribution, double tolerance) {
  const Tensor ends = problem.scores(Nodes{{0.0, 1.0}, {1.0, 1.0}});
  Tensor total = attribution.target.sum({1, 3});
  if (attribution.source.defined()) total = total + attribution.source.sum({1, 3});
  EXPECT_TRUE(near(total, ends[1] - ends[0], 0, tolerance));
}

TEST_F(GradientMethods, IntegratedGradientsAddUpToTheScoreDifference) {
  for (const char* score : {"probability", "logit", "entropy"}) {
    SCOPED_TRACE(score);
    const Problem decoder = problem(score);
    expect_complete(decoder, attribute(decoder, "integrated_gradients", {{"n_steps", number(12)}}), 2e-2);
    expect_complete(decoder, attribute(decoder, "integrated_gradients", {{"n_steps", number(64)}}), 2e-4);
  }
}

TEST_F(GradientMethods, IntegratedGradientsOverBothSides) {
  const Problem both = problem("probability", true);
  expect_complete(both, attribute(both, "integrated_gradients", {{"n_steps", number(64)}}), 2e-4);
}

TEST_F(GradientMethods, EveryRuleConverges) {
  const Problem decoder = problem();
  const Tensor expected = attribute(decoder, "integrated_gradients", {{"n_steps", number(64)}}).target;
  for (const char* rule : {"riemann_left", "riemann_right", "riemann_middle", "riemann_trapezoid"})
    EXPECT_TRUE(
        near(attribute(decoder, "integrated_gradients", {{"n_steps", number(400)}, {"method", text(rule)}}).target,
             expected, 0, 5e-3))
        << rule;
}

TEST_F(GradientMethods, OnePointRules) {
  const Problem decoder = problem();
  const auto one = [&](const char* rule) {
    return attribute(decoder, "integrated_gradients", {{"n_steps", number(1)}, {"method", text(rule)}}).target;
  };
  EXPECT_TRUE(near(one("gausslegendre"), one("riemann_middle")));
  const Tensor difference = (decoder.embeddings(Side::target) - decoder.baseline_embeddings(Side::target)).unsqueeze(2);
  EXPECT_TRUE(near(one("riemann_right"), attribute(decoder, "saliency", {{"abs", Value(false)}}).target * difference));
  EXPECT_EQ(text_of_error([&] { one("riemann_trapezoid"); }).find("n_steps: trapezoid needs at least 2, found 1"), 0u);
}

TEST_F(GradientMethods, TheReferenceTrapezoidIsShort) {
  const Problem decoder = problem();
  const Value::Map params = {{"n_steps", number(8)}, {"method", text("riemann_trapezoid")}};
  Value::Map as_reference = params;
  as_reference.emplace_back("compat", text("reference"));
  EXPECT_TRUE(near(attribute(decoder, "integrated_gradients", as_reference).target,
                   attribute(decoder, "integrated_gradients", params).target * (7.0 / 8)));
}

TEST_F(GradientMethods, DeltasMeasureIncompleteness) {
  const Problem decoder = problem();
  const Attribution coarse =
      attribute(decoder, "integrated_gradients", {{"n_steps", number(2)}, {"return_convergence_delta", Value(true)}});
  const Tensor ends = decoder.scores(Nodes{{0.0, 1.0}, {1.0, 1.0}});
  EXPECT_TRUE(near(coarse.step_scores.at("deltas"), coarse.target.sum({1, 3}) - (ends[1] - ends[0]), 1e-4, 1e-5));
  const Attribution fine =
      attribute(decoder, "integrated_gradients", {{"n_steps", number(64)}, {"return_convergence_delta", Value(true)}});
  EXPECT_TRUE(near(fine.step_scores.at("deltas"), at::zeros({2, 3}), 0, 2e-4));
}

TEST_F(GradientMethods, WithoutTheFactorItIsTheMeanGradient) {
  const Problem decoder = problem();
  const Tensor mean = attribute(decoder, "integrated_gradients", {{"multiply_by_inputs", Value(false)}}).target;
  const Tensor difference = (decoder.embeddings(Side::target) - decoder.baseline_embeddings(Side::target)).unsqueeze(2);
  EXPECT_TRUE(near(mean * difference, attribute(decoder, "integrated_gradients").target));
}

TEST_F(GradientMethods, DeltasNeedTheFactor) {
  const Problem decoder = problem();
  const std::string error = text_of_error([&] {
    attribute(decoder, "integrated_gradients",
              {{"multiply_by_inputs", Value(false)}, {"return_convergence_delta", Value(true)}});
  });
  EXPECT_NE(
      error.find(
          "return_convergence_delta: there is no score difference to compare with while multiply_by_inputs is false"),
      std::string::npos)
      << error;
}

}  // namespace
}  // namespace whence
