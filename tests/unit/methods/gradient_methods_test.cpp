#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>

#include <bit>
#include <set>

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
  static std::vector<std::string> names(const std::map<std::string, Tensor>& scores) {
    std::vector<std::string> names;
    for (const auto& [name, _] : scores) names.push_back(name);
    return names;
  }

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

TEST_F(GradientMethods, EveryIntegralSaysHowFarToTrustIt) {
  const Problem decoder = problem();
  const Attribution coarse = attribute(decoder, "integrated_gradients", {{"n_steps", number(4)}});
  EXPECT_EQ(names(coarse.step_scores), (std::vector<std::string>{"completeness_gap", "error_estimate"}));
  const Tensor ends = decoder.scores(Nodes{{0.0, 1.0}, {1.0, 1.0}});
  EXPECT_TRUE(
      near(coarse.step_scores.at("completeness_gap"), coarse.target.sum({1, 3}) - (ends[1] - ends[0]), 1e-4, 1e-5));
  const Attribution fine = attribute(decoder, "integrated_gradients", {{"n_steps", number(64)}});
  const Tensor coarse_error = coarse.step_scores.at("error_estimate"),
               fine_error = fine.step_scores.at("error_estimate");
  EXPECT_TRUE((fine_error < coarse_error).equal(decoder.step_mask())) << coarse_error << fine_error;

  EXPECT_EQ(names(attribute(decoder, "integrated_gradients", {{"multiply_by_inputs", Value(false)}}).step_scores),
            std::vector<std::string>{"error_estimate"});
  EXPECT_EQ(names(attribute(decoder, "integrated_gradients", {{"n_steps", number(1)}}).step_scores),
            std::vector<std::string>{"completeness_gap"});
}

class Tolerance : public GradientMethods, public ::testing::WithParamInterface<const char*> {};

TEST_P(Tolerance, DoublesTheNodesOfEachStepUntilTheyAgree) {
  const Problem decoder = problem();
  const std::int64_t start = 5;
  const auto intervals_of = [&](std::int64_t nodes) {
    return text(GetParam()) == text("trapezoid") ? nodes - 1 : nodes;
  };
  const Attribution got = attribute(decoder, "integrated_gradients",
                                    {{"n_steps", number(start)},
                                     {"method", text(GetParam())},
                                     {"tolerance", Value(0.02)},
                                     {"max_nodes", number(700)}});
  EXPECT_EQ(names(got.step_scores),
            (std::vector<std::string>{"completeness_gap", "error_estimate", "nodes", "tolerance_missed"}));
  EXPECT_TRUE(got.notes.empty());
  std::set<std::int64_t> counts;
  for (std::int64_t b = 0; b < 2; ++b)
    for (std::int64_t t = 0; t < decoder.sequences()[b].steps.size(); ++t) {
      SCOPED_TRACE("sequence " + std::to_string(b) + ", step " + std::to_string(t));
      const auto nodes = static_cast<std::int64_t>(got.step_scores.at("nodes")[b][t].item<float>());
      counts.insert(nodes);
      const std::int64_t doubled = intervals_of(nodes) / intervals_of(start);
      EXPECT_EQ(doubled * intervals_of(start), intervals_of(nodes));
      EXPECT_TRUE(std::has_single_bit(static_cast<std::uint64_t>(doubled))) << nodes;
      EXPECT_LE(got.step_scores.at("error_estimate")[b][t].item<double>(), 0.02);
      EXPECT_EQ(got.step_scores.at("tolerance_missed")[b][t].item<float>(), 0);
      const Attribution plain =
          attribute(decoder, "integrated_gradients", {{"n_steps", number(nodes)}, {"method", text(GetParam())}});
      EXPECT_TRUE(near(got.target[b].select(1, t), plain.target[b].select(1, t), 1e-4, 1e-6));
      EXPECT_NEAR(got.step_scores.at("completeness_gap")[b][t].item<double>(),
                  plain.step_scores.at("completeness_gap")[b][t].item<double>(), 1e-5);
    }
  EXPECT_GT(counts.size(), 1u) << "every step took as many nodes";
}

INSTANTIATE_TEST_SUITE_P(Rules, Tolerance, ::testing::Values("riemann_left", "riemann_right", "trapezoid"),
                         [](const auto& info) { return std::string(info.param); });

TEST_F(GradientMethods, SaysWhichStepsMissedTheTolerance) {
  const Problem decoder = problem();
  const Value::Map params = {
      {"n_steps", number(4)}, {"method", text("riemann_left")}, {"tolerance", Value(1e-6)}, {"max_nodes", number(31)}};
  const Attribution got = attribute(decoder, "integrated_gradients", params);
  const Tensor steps = decoder.step_mask().to(at::kFloat);
  EXPECT_TRUE(near(got.step_scores.at("nodes"), steps * 16));
  EXPECT_TRUE(near(got.step_scores.at("tolerance_missed"), steps));
  EXPECT_EQ(got.notes,
            std::vector<std::string>{"5 of 5 steps stopped at max_nodes with an error estimate above the tolerance of "
                                     "1e-06; their step score tolerance_missed is 1"});
}

TEST_F(GradientMethods, NamesTolerancesThatDoNotFit) {
  const Problem decoder = problem();
  const auto error = [&](Value::Map params) {
    return text_of_error([&] { attribute(decoder, "integrated_gradients", std::move(params)); });
  };
  EXPECT_EQ(error({{"tolerance", Value(0.1)}}),
            "tolerance: the points of gausslegendre do not stay when their number is doubled; set method to "
            "riemann_left, riemann_right or trapezoid");
  EXPECT_EQ(error({{"tolerance", Value(0.0)}, {"method", text("riemann_left")}}),
            "tolerance: no estimate falls to 0; give a number above 0, or leave it out");
  EXPECT_EQ(error({{"tolerance", Value(0.1)}, {"method", text("riemann_left")}, {"max_nodes", number(49)}}),
            "max_nodes: expected at least n_steps = 50, found 49");
  EXPECT_EQ(error({{"tolerance", Value(0.1)}, {"method", text("trapezoid")}, {"compat", text("reference")}}),
            "tolerance: the weights that compat: reference gives the trapezoid do not sum to 1, so more nodes lead "
            "elsewhere; leave one of the two out");
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
