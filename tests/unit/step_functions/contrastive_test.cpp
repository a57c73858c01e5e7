// Step functions that compare with another text.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "support/plugins.h"
#include "support/tensors.h"
#include "support/text_of_error.h"
#include "whence/error.h"

namespace whence {
namespace {

using testing::built_plugins;
using testing::choice;
using testing::near;
using testing::numbers;
using testing::text_of_error;
using Row = std::vector<double>;

/// What one step shows: logits and probabilities after the text and after the contrastive one, and both tokens.
struct Step {
  Row z, p, z_c, p_c;
  std::size_t y = 0, y_c = 0;
};

struct Case {
  std::string label;
  host::Choice choice;
  double (*formula)(const Step& step);
};

std::ostream& operator<<(std::ostream& out, const Case& each) { return out << each.label; }

double divergence(const Row& p, const Row& q) {
  double sum = 0;
  for (std::size_t v = 0; v < p.size(); ++v)
    if (p[v] > 0) sum += p[v] * std::log(p[v] / q[v]);
  return sum;
}

/// The divergence on the `count` tokens that are likeliest under both, both normalised on these.
double divergence_on(const Step& step, std::size_t count) {
  std::vector<std::size_t> order(step.z.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, std::greater{}, [&](std::size_t v) { return step.z[v] + step.z_c[v]; });
  Row p, q;
  double p_mass = 0, q_mass = 0;
  for (std::size_t i = 0; i < count; ++i) {
    p.push_back(step.p[order[i]]);
    q.push_back(step.p_c[order[i]]);
    p_mass += p.back();
    q_mass += q.back();
  }
  for (double& each : p) each /= p_mass;
  for (double& each : q) each /= q_mass;
  return divergence(p, q);
}

/// Fewest of the likeliest tokens under softmax(z + z_c) whose probabilities reach `top_p`.
std::size_t nucleus(const Step& step, double top_p) {
  Row joint;
  for (std::size_t v = 0; v < step.z.size(); ++v) joint.push_back(std::exp(step.z[v] + step.z_c[v]));
  const double mass = std::accumulate(joint.begin(), joint.end(), 0.0);
  std::ranges::sort(joint, std::greater{});
  double sum = 0;
  std::size_t count = 0;
  while (count < joint.size() && sum < top_p * mass) sum += joint[count++];
  return count;
}

host::Choice forced_divergence(Value::Map params) {
  params.emplace_back("contrast_force_inputs", Value(true));
  return choice("kl_divergence", std::move(params));
}

Value whole(std::int64_t number) { return Value(number); }

const std::vector<Case>& cases() {
  static const std::vector<Case> list = {
      {"contrast_logits", choice("contrast_logits"), [](const Step& s) { return s.z_c[s.y_c]; }},
      {"contrast_prob", choice("contrast_prob"), [](const Step& s) { return s.p_c[s.y_c]; }},
      {"contrast_log_prob", choice("contrast_prob", {{"logprob", Value(true)}}),
       [](const Step& s) { return std::log(s.p_c[s.y_c]); }},
      {"contrast_logits_diff", choice("contrast_logits_diff"), [](const Step& s) { return s.z[s.y] - s.z_c[s.y_c]; }},
      {"contrast_prob_diff", choice("contrast_prob_diff"), [](const Step& s) { return s.p[s.y] - s.p_c[s.y_c]; }},
      {"contrast_log_prob_diff", choice("contrast_prob_diff", {{"logprob", Value(true)}}),
       [](const Step& s) { return std::log(s.p[s.y] / s.p_c[s.y_c]); }},
      {"pcxmi", choice("pcxmi"), [](const Step& s) { return -std::log2(s.p[s.y] / s.p_c[s.y_c]); }},
      {"in_context_pvi", choice("in_context_pvi"), [](const Step& s) { return -std::log(s.p[s.y] / s.p_c[s.y_c]); }},
      {"kl_divergence", forced_divergence({}), [](const Step& s) { return divergence(s.p, s.p_c); }},
      {"kl_top_k", forced_divergence({{"top_k", whole(3)}}), [](const Step& s) { return divergence_on(s, 3); }},
      {"kl_top_p", forced_divergence({{"top_p", Value(0.8)}}),
       [](const Step& s) { return divergence_on(s, nucleus(s, 0.8)); }},
      {"kl_top_p_and_k", forced_divergence({{"top_p", Value(0.9)}, {"top_k", whole(2)}}),
       [](const Step& s) { return divergence_on(s, std::min<std::size_t>(2, nucleus(s, 0.9))); }},
      {"kl_min_tokens",
       forced_divergence({{"top_p", Value(0.0)}, {"top_k", whole(1)}, {"min_tokens_to_keep", whole(4)}}),
       [](const Step& s) { return divergence_on(s, 4); }},
      {"kl_wide_top_k", forced_divergence({{"top_k", whole(100)}}),
       [](const Step& s) { return divergence(s.p, s.p_c); }},
  };
  return list;
}

StepInputs example() {
  at::Generator random = at::detail::createCPUGenerator(5);
  StepInputs inputs{at::randn({2, 3, 7}, random), at::randint(0, 7, {2, 3}, random, at::kLong)};
  inputs.contrast_ids = at::randint(0, 7, {2, 3}, random, at::kLong);
  inputs.contrast_logits = at::randn({2, 3, 7}, random);
  return inputs;
}

Row row_of(const Tensor& values, std::int64_t row) {
  const Tensor flat = values.to(at::kDouble).reshape({-1, values.size(-1)})[row].contiguous();
  return Row(flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel());
}

Tensor by_formula(const Case& each, const StepInputs& inputs) {
  std::vector<float> values;
  for (std::int64_t row = 0; row < inputs.target_ids.numel(); ++row) {
    const auto id = [&](const Tensor& ids) { return static_cast<std::size_t>(ids.view(-1)[row].item<std::int64_t>()); };
    const Tensor z = inputs.logits.to(at::kDouble), z_c = inputs.contrast_logits.to(at::kDouble);
    values.push_back(static_cast<float>(
        each.formula({row_of(z, row), row_of(z.softmax(-1), row), row_of(z_c, row), row_of(z_c.softmax(-1), row),
                      id(inputs.target_ids), id(inputs.contrast_ids)})));
  }
  return numbers(inputs.target_ids.sizes(), values);
}

class Contrastive : public ::testing::TestWithParam<Case> {};

TEST_P(Contrastive, ComputesItsFormula) {
  const StepInputs inputs = example();
  EXPECT_TRUE(
      near(built_plugins().make_step_function(GetParam().choice)->score(inputs), by_formula(GetParam(), inputs)));
}

TEST_P(Contrastive, GradientsAtBothSidesMatchFiniteDifferences) {
  const auto function = built_plugins().make_step_function(GetParam().choice);
  StepInputs traced = example();
  traced.logits = traced.logits.detach().requires_grad_(true);
  traced.contrast_logits = traced.contrast_logits.detach().requires_grad_(true);
  const auto gradients = torch::autograd::grad({function->score(traced).sum()}, {traced.logits, traced.contrast_logits},
                                               {}, {}, false, /*allow_unused=*/true);
  constexpr double kStep = 1e-4;
  for (const bool contrast : {false, true})
    for (std::int64_t v = 0; v < traced.logits.size(-1); ++v) {
      const auto moved = [&](double by) {
        StepInputs copy = example();
        copy.logits = copy.logits.to(at::kDouble);
        copy.contrast_logits = copy.contrast_logits.to(at::kDouble);
        (contrast ? copy.contrast_logits : copy.logits).select(-1, v).add_(by);
        return function->score(copy);
      };
      const Tensor difference = (moved(kStep) - moved(-kStep)) / (2 * kStep);
      const Tensor& gradient = gradients[contrast];
      EXPECT_TRUE(near(gradient.defined() ? gradient.select(-1, v) : difference * 0, difference, 1e-4, 1e-5))
          << (contrast ? "contrastive" : "own") << " logit " << v;
    }
}

TEST_P(Contrastive, IsOneStepAtATimeWhatItIsForAll) {
  const auto function = built_plugins().make_step_function(GetParam().choice);
  const StepInputs all = example();
  const auto one = [](const Tensor& of_all) { return of_all.narrow(0, 1, 1).narrow(1, 2, 1); };
  StepInputs alone{one(all.logits), one(all.target_ids)};
  alone.contrast_ids = one(all.contrast_ids);
  alone.contrast_logits = one(all.contrast_logits);
  EXPECT_TRUE(near(function->score(alone), one(function->score(all))));
}

TEST_P(Contrastive, NeedsThePassThatItsRoleAsksFor) {
  const auto function = built_plugins().make_step_function(GetParam().choice);
  const StepNeeds recorded = function->needs(StepRole::recorded);
  EXPECT_TRUE(recorded.contrast_ids && recorded.contrast_logits);
  EXPECT_FALSE(recorded.fixed_contrast);
  host::Choice forced = GetParam().choice;
  Value::Map params = forced.params.is_null() ? Value::Map{} : forced.params.as_map();
  std::erase_if(params, [](const auto& each) { return each.first == "contrast_force_inputs"; });
  params.emplace_back("contrast_force_inputs", Value(true));
  params.emplace_back("compat", testing::text("reference"));
  const StepNeeds needs =
      built_plugins().make_step_function(choice(forced.name, std::move(params)))->needs(StepRole::attributed);
  EXPECT_TRUE(needs.contrast_logits && needs.fixed_contrast);
}

INSTANTIATE_TEST_SUITE_P(All, Contrastive, ::testing::ValuesIn(cases()),
                         [](const auto& info) { return info.param.label; });

TEST(ContrastiveNeeds, NoPassIsMadeForAFunctionThatIsExplainedUnlessItIsForced) {
  for (const char* name :
       {"contrast_logits", "contrast_logits_diff", "contrast_prob", "contrast_prob_diff", "in_context_pvi", "pcxmi"}) {
    const StepNeeds needs = built_plugins().make_step_function(choice(name))->needs(StepRole::attributed);
    EXPECT_TRUE(needs.contrast_ids) << name;
    EXPECT_FALSE(needs.contrast_logits) << name;
  }
}

TEST(KlDivergence, IsNotExplainedInTheLogitsOfTheTextItself) {
  const auto function = built_plugins().make_step_function(choice("kl_divergence"));
  EXPECT_EQ(text_of_error<ConfigError>([&] { function->needs(StepRole::attributed); }),
            "explained in the logits of the text itself, the divergence is zero whatever the text; set "
            "contrast_force_inputs: true to compare with passes over the contrastive text");
}

TEST(KlDivergence, ATokenThatOneSideRulesOut) {
  const float out = -std::numeric_limits<float>::infinity();
  StepInputs inputs{numbers({1, 2, 3}, {0, out, 0, 0, 0, 0}).requires_grad_(true), at::zeros({1, 2}, at::kLong)};
  inputs.contrast_ids = inputs.target_ids;
  inputs.contrast_logits = numbers({1, 2, 3}, {0, 0, 0, 0, out, 0});
  const Tensor scores = built_plugins().make_step_function(choice("kl_divergence"))->score(inputs);
  EXPECT_NEAR(scores[0][0].item<float>(), std::log(1.5f), 1e-6);
  EXPECT_TRUE(std::isinf(scores[0][1].item<float>()));
  EXPECT_TRUE(near(torch::autograd::grad({scores[0][0]}, {inputs.logits}).front()[0][0], numbers({3}, {0, 0, 0})));
}

}  // namespace
}  // namespace whence
