// Methods that take gradients at random points: against the integrals and moments they estimate, and reproducible.
#include <ATen/ops/zeros_like.h>

#include "problem_fixture.h"

namespace whence {
namespace {

using testing::choice;
using testing::near;
using testing::number;
using testing::text;

class SampledGradients : public testing::MethodTest {
 protected:
  static Value real(double value) { return Value(value); }

  /// One text of the problem alone, and after another one: what is drawn for it must be the same.
  static std::vector<Attribution> alone_and_in_a_batch(const std::string& method, const Value::Map& params) {
    static const FakeModel model;
    static const auto score = testing::built_plugins().make_step_function(choice("probability"));
    Sequence own = testing::fake_sequence({5, 3, 8, 10}, {2, 4}), other = testing::fake_sequence({3, 7, 2, 9}, {3, 4});
    own.id = "own";
    std::vector<Attribution> results;
    for (const std::vector<Sequence>& batch : {std::vector{own}, std::vector{other, own}}) {
      const Problem texts(model, *score, batch, {.seed = 9});
      Attribution got = attribute(texts, method, params);
      got.target = got.target[std::ssize(batch) - 1].narrow(1, 0, 2).narrow(0, 0, 3);
      results.push_back(got);
    }
    return results;
  }

  static void expect_within(const Tensor& got, const Tensor& expected, double share) {
    EXPECT_LT((got - expected).abs().sum().item<double>(), share * expected.abs().sum().item<double>());
  }

  using FakeModel = testing::FakeModel;
};

TEST_F(SampledGradients, DependOnSeedAndSequenceAlone) {
  for (const char* method : {"gradient_shap", "expected_gradients", "smoothgrad", "vargrad"}) {
    const auto results = alone_and_in_a_batch(method, {{"n_samples", number(4)}});
    EXPECT_TRUE(near(results[0].target, results[1].target)) << method;
  }
  const auto noisy = alone_and_in_a_batch("gradient_shap", {{"n_samples", number(3)}, {"stdevs", real(0.3)}});
  EXPECT_TRUE(near(noisy[0].target, noisy[1].target));
}

TEST_F(SampledGradients, ShapConvergesToIntegratedGradients) {
  for (const bool with_source : {false, true}) {
    const Problem texts = problem("probability", with_source);
    const Attribution exact = attribute(texts, "integrated_gradients", {{"n_steps", number(64)}});
    const Attribution got = attribute(texts, "gradient_shap", {{"n_samples", number(4000)}});
    expect_within(got.target, exact.target, 0.05);
    if (with_source) expect_within(got.source, exact.source, 0.05);
    // Zero in expectation; what is left is an error of samples.
    EXPECT_LT(got.step_scores.at("completeness_gap").abs().max().item<double>(), 0.05);
    EXPECT_LT(got.step_scores.at("error_estimate").max().item<double>(), 0.1);
  }
}

TEST_F(SampledGradients, GapIsThatOfTheSum) {
  const Problem texts = problem();
  const Attribution got =
      attribute(texts, "gradient_shap", {{"n_samples", number(3)}, {"return_convergence_delta", Value(true)}});
  const Tensor sum = got.target.sum({1, 3});
  const Tensor difference = texts.scores() - texts.scores(Nodes{{0.0}, {1.0}})[0];
  EXPECT_TRUE(near(got.step_scores.at("completeness_gap"), (sum - difference) * texts.step_mask(), 1e-4, 1e-5));
  EXPECT_TRUE(near(got.step_scores.at("deltas"), got.step_scores.at("completeness_gap")));
}

TEST_F(SampledGradients, NoiseAveragesOutOfTheGap) {
  const Problem texts = problem();
  const Attribution got = attribute(texts, "gradient_shap", {{"n_samples", number(3000)}, {"stdevs", real(0.2)}});
  EXPECT_LT(got.step_scores.at("completeness_gap").abs().max().item<double>(), 0.05);
}

TEST_F(SampledGradients, ExpectedGradientsOfOneReferenceAreAnIntegralFromIt) {
  const Problem texts = problem();
  const Attribution got = attribute(texts, "expected_gradients",
                                    {{"n_samples", number(4000)}, {"references", Value(Value::List{text("t4 t6")})}});
  // The reference is repeated: rows stand at t4, t6, t4...
  const Tensor ids = at::tensor({4, 6, 4, 6, 4, 6}, at::kLong).narrow(0, 0, texts.length(Side::target));
  const Tensor start = texts.model().embed(ids, Side::target);
  constexpr std::int64_t kPoints = 200;
  Points points{.count = kPoints, .weight = 1.0 / kPoints};
  points.rows = [&](const PointPlace& place) {
    const double alpha = (static_cast<double>(place.point) + 0.5) / kPoints;
    return start + alpha * (texts.embeddings(place.side)[place.sequence] - start);
  };
  points.factor = [&](const PointPlace& place) { return texts.embeddings(place.side)[place.sequence] - start; };
  expect_within(got.target, texts.gradients(points).target, 0.05);
  EXPECT_LT(got.step_scores.at("completeness_gap").abs().max().item<double>(), 0.05);
}

TEST_F(SampledGradients, ExpectedGradientsOverRandomTokensAreCompleteInExpectation) {
  for (const bool with_source : {false, true}) {
    const Attribution got =
        attribute(problem("probability", with_source), "expected_gradients", {{"n_samples", number(1000)}});
    EXPECT_LT(got.step_scores.at("completeness_gap").abs().max().item<double>(), 0.12);
    // A decoder start token is its own baseline.
    if (with_source) {
      EXPECT_EQ(got.target.select(1, 0).abs().max().item<double>(), 0);
    }
  }
}

TEST_F(SampledGradients, ReferencesMustHaveTokens) {
  const Problem texts = problem();
  EXPECT_NE(testing::text_of_error<ConfigError>([&] {
              attribute(texts, "expected_gradients", {{"references", Value(Value::List{text("")})}});
            }).find("references: '' has no tokens"),
            std::string::npos);
  EXPECT_NE(testing::text_of_error<ConfigError>([&] {
              attribute(texts, "expected_gradients", {{"references", Value(Value::List{})}});
            }).find("references: no text"),
            std::string::npos);
}

TEST_F(SampledGradients, WithoutNoiseSmoothGradIsTheGradient) {
  const Problem texts = problem();
  const Value::Map none{{"n_samples", number(3)}, {"noise", real(0)}};
  const auto with = [&](const char* name, const char* value) {
    Value::Map params = none;
    params.emplace_back(name, text(value));
    return attribute(texts, "smoothgrad", params).target;
  };
  const Tensor gradients = texts.gradients().target;
  EXPECT_TRUE(near(attribute(texts, "smoothgrad", none).target, gradients));
  EXPECT_TRUE(near(with("of", "input_x_gradient"), texts.gradients({.multiply = Multiply::input}).target));
  EXPECT_TRUE(near(attribute(texts, "smoothgrad_squared", none).target, gradients.square()));
  EXPECT_TRUE(near(attribute(texts, "vargrad", none).target, at::zeros_like(gradients)));
}

TEST_F(SampledGradients, MomentsOfSmoothGradBelongTogether) {
  const Problem texts = problem();
  const Value::Map params{{"n_samples", number(7)}, {"noise", real(0.5)}};
  const Tensor mean = attribute(texts, "smoothgrad", params).target;
  const Tensor square = attribute(texts, "smoothgrad_squared", params).target;
  const Tensor variance = attribute(texts, "vargrad", params).target;
  EXPECT_GT(variance.max().item<double>(), 1e-4);
  EXPECT_TRUE(near(variance, square - mean.square(), 1e-3, 1e-5));
}

TEST_F(SampledGradients, GradientNormIsTheNormOfSaliency) {
  const Problem texts = problem();
  EXPECT_TRUE(near(attribute(texts, "gradient_norm").target.abs(), attribute(texts, "saliency").target));
}

}  // namespace
}  // namespace whence
