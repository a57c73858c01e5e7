// Which tokens depend on context, and on what of it, as the reference toolkit has it where it is right.
#include "host/context.h"

#include <ATen/ops/tensor.h>

#include <set>

#include "case_models.h"
#include "compare.h"
#include "context_case.h"
#include "support/plugins.h"

namespace whence::parity {

/// For gtest's names.
std::ostream& operator<<(std::ostream& out, const ContextCase& one) { return out << one.data.id; }

namespace {

void expect_context(const std::optional<ContextText>& got, const std::optional<ContextText>& expected,
                    const char* which) {
  ASSERT_EQ(got.has_value(), expected.has_value()) << which;
  if (!got) return;
  EXPECT_EQ(got->text, expected->text) << which;
  EXPECT_EQ(got->tokens, expected->tokens) << which;
}

void expect_cues(const std::optional<CueScores>& got, const std::optional<CueScores>& expected,
                 const Tolerance& tolerance, const std::string& which) {
  ASSERT_EQ(got.has_value(), expected.has_value()) << which;
  if (!got) return;
  EXPECT_TRUE(agrees_relative(at::tensor(got->tokens), at::tensor(expected->tokens), tolerance)) << which;
}

class ContextParity : public ::testing::TestWithParam<ContextCase> {};

TEST_P(ContextParity, ReproducesTheReference) {
  const ContextCase& one = GetParam();
  const Tolerance tolerance(one.data);
  const ContextAttribution got =
      host::attribute_context(model(one.data.model), testing::built_plugins(), one.input, one.spec, one.generation);
  const ContextAttribution& expected = one.expected;
  expect_context(got.input_context, expected.input_context, "input context");
  expect_context(got.output_context, expected.output_context, "output context");
  EXPECT_EQ(got.input_current, one.input.input_current);
  EXPECT_EQ(got.output_current, expected.output_current);
  ASSERT_EQ(got.output_tokens, expected.output_tokens);
  EXPECT_TRUE(agrees(at::tensor(got.sensitivities), at::tensor(expected.sensitivities), tolerance.step_rtol,
                     tolerance.step_atol));
  EXPECT_TRUE(agrees(at::tensor({one.spec.sensitive.threshold(got.sensitivities)}), at::tensor({one.threshold}),
                     tolerance.step_rtol, tolerance.step_atol));
  ASSERT_EQ(got.selected.size(), expected.selected.size());
  for (std::size_t i = 0; i < got.selected.size(); ++i) {
    const ContextSensitiveToken &token = got.selected[i], &stored = expected.selected[i];
    EXPECT_EQ(token.index, stored.index);
    EXPECT_EQ(token.token, stored.token);
    EXPECT_EQ(token.sensitivity, got.sensitivities.at(static_cast<std::size_t>(token.index)));
    EXPECT_EQ(token.contextual_output, stored.contextual_output);
    EXPECT_EQ(token.contrast_token, stored.contrast_token);
    EXPECT_EQ(token.contextless_output, stored.contextless_output);
    expect_cues(token.input_cues, stored.input_cues, tolerance, "input cues of " + token.token);
    expect_cues(token.output_cues, stored.output_cues, tolerance, "output cues of " + token.token);
  }
}

TEST(ContextCases, CoverEveryMetricThatComparesTexts) {
  std::set<std::string> metrics;
  for (const ContextCase& one : context_cases()) metrics.insert(one.spec.sensitivity.name);
  EXPECT_EQ(metrics, (std::set<std::string>{"contrast_logits", "contrast_logits_diff", "contrast_prob",
                                            "contrast_prob_diff", "in_context_pvi", "kl_divergence", "pcxmi"}));
}

INSTANTIATE_TEST_SUITE_P(Cases, ContextParity, ::testing::ValuesIn(context_cases()),
                         [](const auto& info) { return test_name(info.param.data.id); });

}  // namespace
}  // namespace whence::parity
