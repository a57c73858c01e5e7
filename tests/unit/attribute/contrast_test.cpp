// Attributions by scores that need more than the logits of a text.
#include "attribute_fixture.h"
#include "host/attribution_info.h"

namespace whence {
namespace {

using testing::choice;
using testing::text_of_error;

class ContrastTest : public testing::AttributeTest {
 protected:
  /// The texts with contrasts, aligned from the end.
  static std::vector<host::PreparedText> compared() {
    std::vector<host::PreparedText> all = texts();
    for (host::PreparedText& text : all) {
      Contrast& contrast = text.sequence.contrast.emplace();
      contrast.target = testing::fake_sequence({9, 4, 7, 10, 3, 6, 8, 2, 5}, {1, 2}).target;
      for (std::int64_t t = text.sequence.steps.size(); t > 0; --t) contrast.positions.push_back(9 - t);
    }
    return all;
  }

  static host::AttributionSpec by(const host::Choice& function, const std::string& method = "saliency") {
    host::AttributionSpec asked = spec(method);
    asked.attributed_function = function;
    return asked;
  }

  AttributionOutput of_compared(const host::AttributionSpec& asked) const {
    return host::attribute(model, testing::built_plugins(), compared(), asked, options);
  }
};

std::vector<std::string> shown(const SequenceAttribution& sequence) {
  std::vector<std::string> all;
  for (const Token& token : sequence.target) all.push_back(token.text + "/" + std::to_string(token.id));
  return all;
}

const host::Choice kForced = choice("contrast_prob_diff", {{"contrast_force_inputs", Value(true)}});

TEST_F(ContrastTest, TokensThatAreComparedWithOthersSayWhich) {
  const std::vector<std::string> expected{"t5/5", "t8 → t3/-1", "t2 → t8/-1", "t5 → t10/-1"};
  EXPECT_EQ(shown(of_compared(by(choice("contrast_logits_diff"))).sequences[1]), expected);
  host::AttributionSpec recorded = spec("saliency");
  recorded.step_scores = {choice("pcxmi")};
  EXPECT_EQ(shown(of_compared(recorded).sequences[1]), expected);
  // An attribution that compares with nothing shows the text as it is.
  EXPECT_EQ(shown(of_compared(spec("saliency")).sequences[1]),
            (std::vector<std::string>{"t5/5", "t3/3", "t8/8", "t10/10"}));
}

TEST_F(ContrastTest, PlansCountThePassesOverContrastiveTexts) {
  const auto rows = [&](const host::AttributionSpec& asked) {
    const host::AttributionPlan plan =
        host::plan_attribution(model, testing::built_plugins(), compared(), asked, options);
    const Work done = host::cost_of(of_compared(asked))->work;
    EXPECT_EQ(plan.work.forward_passes, done.forward_passes);
    EXPECT_EQ(plan.work.forward_rows, done.forward_rows);
    EXPECT_EQ(plan.work.backward_rows, done.backward_rows);
    return done.forward_rows;
  };
  for (const char* method : {"saliency", "occlusion", "integrated_gradients", "leave_one_out", "alti_logit"}) {
    SCOPED_TRACE(method);
    const std::int64_t plain = rows(by(choice("logit"), method));
    EXPECT_EQ(rows(by(choice("contrast_logits_diff"), method)), plain);
    // Each contrastive text has 8 rows that predict something.
    EXPECT_EQ(rows(by(kForced, method)), plain + 3 * 8);
    host::AttributionSpec recorded = by(choice("logit"), method);
    recorded.step_scores = {choice("pcxmi"), choice("kl_divergence"), choice("contrast_prob")};
    EXPECT_EQ(rows(recorded), plain + 3 * 8);
  }
}

TEST_F(ContrastTest, ResultsDoNotDependOnTheBatch) {
  host::AttributionSpec asked = by(kForced, "integrated_gradients");
  asked.step_scores = {choice("kl_divergence"), choice("in_context_pvi")};
  const AttributionOutput two = of_compared(asked);
  options.batch_size = 1;
  const AttributionOutput one = of_compared(asked);
  for (std::size_t i = 0; i < one.sequences.size(); ++i) {
    EXPECT_TRUE(testing::near(one.sequences[i].target_attributions, two.sequences[i].target_attributions));
    for (const auto& [name, scores] : one.sequences[i].step_scores)
      EXPECT_TRUE(testing::near(scores, two.sequences[i].step_scores.at(name))) << name;
  }
}

TEST_F(ContrastTest, WhatCannotBeComparedIsRefusedBeforeAnyPass) {
  const auto refusal = [&](const std::vector<host::PreparedText>& asked, host::Choice function) {
    function.where = {"e.yaml", 3, 7};
    const Work before = model.work();
    const std::string text = text_of_error(
        [&] { host::attribute(model, testing::built_plugins(), asked, by(function, "occlusion"), options); });
    EXPECT_EQ((model.work() - before).forward_passes, 0);
    return text;
  };
  auto mixed = compared();
  mixed[2].sequence.contrast.reset();
  EXPECT_EQ(refusal(mixed, kForced),
            "sequence '2': a step function compares with another text, but there is none; give a contrast");
  EXPECT_EQ(refusal(compared(), choice("kl_divergence")),
            "e.yaml:3:7: step_function 'kl_divergence': explained in the logits of the text itself, the divergence is "
            "zero whatever the text; set contrast_force_inputs: true to compare with passes over the contrastive text");
  EXPECT_EQ(refusal(texts(), choice("mc_dropout_prob_avg")),
            "e.yaml:3:7: step_function 'mc_dropout_prob_avg': the step function needs passes with dropout, but the "
            "checkpoint of model 'fake' has none; choose another function");
}

}  // namespace
}  // namespace whence
