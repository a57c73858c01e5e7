#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "support/plugins.h"
#include "support/tensors.h"

namespace whence {
namespace {

using testing::built_plugins;
using testing::choice;
using testing::near;
using testing::number;
using testing::numbers;
using testing::text;

/// A step function and its formula for one row of logits.
struct Case {
  std::string label;
  host::Choice choice;
  double (*formula)(const std::vector<double>& probabilities, const std::vector<double>& logits, std::int64_t target);
};

std::ostream& operator<<(std::ostream& out, const Case& each) { return out << each.label; }

const std::vector<Case>& cases() {
  using Row = const std::vector<double>&;
  static const std::vector<Case> list = {
      {"probability", choice("probability"), [](Row p, Row, std::int64_t y) { return p[y]; }},
      {"log_probability", choice("probability", {{"logprob", Value(true)}}),
       [](Row p, Row, std::int64_t y) { return std::log(p[y]); }},
      {"logit", choice("logit"), [](Row, Row z, std::int64_t y) { return z[y]; }},
      {"entropy", choice("entropy"),
       [](Row p, Row, std::int64_t) {
         double sum = 0;
         for (const double each : p)
           if (each > 0) sum -= each * std::log(each);
         return sum;
       }},
      {"crossentropy", choice("crossentropy"), [](Row p, Row, std::int64_t y) { return -std::log(p[y]); }},
      {"perplexity", choice("perplexity"), [](Row p, Row, std::int64_t y) { return 1 / p[y]; }},
      {"perplexity_reference", choice("perplexity", {{"compat", text("reference")}}),
       [](Row p, Row, std::int64_t y) { return std::pow(2.0, -std::log(p[y])); }},
  };
  return list;
}

StepInputs example() {
  at::Generator random = at::detail::createCPUGenerator(3);
  return {at::randn({2, 3, 7}, random), at::randint(0, 7, {2, 3}, random, at::kLong)};
}

/// The formula, row by row: [B,T].
Tensor by_formula(const Case& each, const StepInputs& inputs) {
  const Tensor logits = inputs.logits.to(at::kDouble).contiguous();
  std::vector<float> values;
  const std::int64_t size = logits.size(-1), rows = logits.numel() / size;
  for (std::int64_t row = 0; row < rows; ++row) {
    const double* begin = logits.data_ptr<double>() + row * size;
    const std::vector<double> z(begin, begin + size);
    std::vector<double> p;
    double sum = 0;
    for (const double value : z) sum += std::exp(value);
    for (const double value : z) p.push_back(std::exp(value) / sum);
    values.push_back(static_cast<float>(each.formula(p, z, inputs.target_ids.view(-1)[row].item<std::int64_t>())));
  }
  return numbers(inputs.target_ids.sizes(), values);
}

class StepFunctions : public ::testing::TestWithParam<Case> {};

TEST_P(StepFunctions, ComputesItsFormula) {
  const StepInputs inputs = example();
  EXPECT_TRUE(
      near(built_plugins().make_step_function(GetParam().choice)->score(inputs), by_formula(GetParam(), inputs)));
}

TEST_P(StepFunctions, WorksForASingleSequenceAndStep) {
  const StepInputs all = example();
  const StepInputs one{all.logits.narrow(0, 1, 1).narrow(1, 2, 1), all.target_ids.narrow(0, 1, 1).narrow(1, 2, 1)};
  EXPECT_TRUE(near(built_plugins().make_step_function(GetParam().choice)->score(one), by_formula(GetParam(), one)));
}

TEST_P(StepFunctions, GradientMatchesFiniteDifferences) {
  const StepInputs inputs = example();
  const auto function = built_plugins().make_step_function(GetParam().choice);
  const StepInputs traced{inputs.logits.detach().requires_grad_(true), inputs.target_ids};
  const Tensor gradient = torch::autograd::grad({function->score(traced).sum()}, {traced.logits}).front();
  constexpr double kStep = 1e-4;
  for (std::int64_t v = 0; v < inputs.logits.size(-1); ++v) {
    // The differences are taken of the formula, in double: each row depends on its own logits alone.
    const auto moved = [&](double by) {
      StepInputs copy{inputs.logits.to(at::kDouble), inputs.target_ids};
      copy.logits.select(-1, v).add_(by);
      return function->score(copy);
    };
    const Tensor difference = (moved(kStep) - moved(-kStep)) / (2 * kStep);
    EXPECT_TRUE(near(gradient.select(-1, v), difference, 1e-4, 1e-5)) << "logit " << v;
  }
}

INSTANTIATE_TEST_SUITE_P(All, StepFunctions, ::testing::ValuesIn(cases()),
                         [](const auto& info) { return info.param.label; });

TEST(Entropy, ATokenRuledOutAddsNothing) {
  const float out = -std::numeric_limits<float>::infinity();
  const StepInputs inputs{numbers({1, 1, 3}, {0, out, 0}).requires_grad_(true),
                          at::tensor(std::vector<std::int64_t>{0}).view({1, 1})};
  const Tensor entropy = built_plugins().make_step_function(choice("entropy"))->score(inputs);
  EXPECT_TRUE(near(entropy, numbers({1, 1}, {std::log(2.0f)})));
  EXPECT_TRUE(near(torch::autograd::grad({entropy.sum()}, {inputs.logits}).front(), numbers({1, 1, 3}, {0, 0, 0})));
}

TEST(TopPSize, CountsTheTokensOfTheNucleusOfEveryStep) {
  // Probabilities 0.5, 0.3, 0.15, 0.05 in any order, and one token that takes all.
  const StepInputs inputs{numbers({2, 1, 4}, {0.5f, 0.05f, 0.3f, 0.15f, 1, 1e-9f, 1e-9f, 1e-9f}).log(),
                          at::randint(0, 1, {2, 1}, at::kLong)};
  const auto sizes = [&](double top_p) {
    return built_plugins().make_step_function(choice("top_p_size", {{"top_p", Value(top_p)}}))->score(inputs);
  };
  EXPECT_TRUE(near(sizes(0.0), numbers({2, 1}, {1, 1})));
  EXPECT_TRUE(near(sizes(0.45), numbers({2, 1}, {1, 1})));
  EXPECT_TRUE(near(sizes(0.79), numbers({2, 1}, {2, 1})));
  EXPECT_TRUE(near(sizes(0.9), numbers({2, 1}, {3, 1})));
}

TEST(McDropoutProbAvg, SaysHowFarTheCleanProbabilityLiesFromTheNoisyOnes) {
  const auto function = built_plugins().make_step_function(choice("mc_dropout_prob_avg", {{"n_mcd_steps", number(3)}}));
  for (const StepRole role : {StepRole::attributed, StepRole::recorded})
    EXPECT_EQ(function->needs(role).dropout_samples, 3);
  StepInputs inputs{numbers({1, 1, 2}, {0.6f, 0.4f}).log().requires_grad_(true), at::randint(0, 1, {1, 1}, at::kLong)};
  for (const float p : {0.5f, 0.2f, 0.2f}) inputs.dropout_logits.push_back(numbers({1, 1, 2}, {p, 1 - p}).log());
  const Tensor score = function->score(inputs);
  // Mean 0.3, deviations 0.2, -0.1, -0.1: variance 0.06 / 2.
  EXPECT_TRUE(near(score, numbers({1, 1}, {0.3f / std::sqrt(0.03f)})));
  EXPECT_FALSE(score.requires_grad());
  const auto logarithms = built_plugins().make_step_function(choice("mc_dropout_prob_avg", {{"logprob", Value(true)}}));
  EXPECT_EQ(logarithms->needs(StepRole::recorded).dropout_samples, 5);
  const Tensor logs = numbers({3}, {0.5f, 0.2f, 0.2f}).log();
  EXPECT_TRUE(near(logarithms->score(inputs), ((numbers({1}, {0.6f}).log() - logs.mean()) / logs.std()).view({1, 1})));
}

TEST(Probability, LargeLogitsStayFinite) {
  const StepInputs inputs{numbers({1, 1, 2}, {1000, 998}), at::tensor(std::vector<std::int64_t>{1}).view({1, 1})};
  EXPECT_TRUE(
      near(built_plugins().make_step_function(choice("crossentropy"))->score(inputs), numbers({1, 1}, {2.126928f})));
}

}  // namespace
}  // namespace whence
