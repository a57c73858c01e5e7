// Scores that compare with another text: what they see of it, and how it moves with the text.
#include <ATen/ops/eye.h>

#include "problem_test.h"
#include "whence/token_scores.h"

namespace whence {
namespace {

using testing::choice;
using testing::fake_sequence;
using testing::text_of_error;

/// Differences of numbers about ten, as far as float has them.
auto near(const Tensor& got, const Tensor& expected, double rtol = 1e-5, double atol = 1e-5) {
  return testing::near(got, expected, rtol, atol);
}

/// z[y] - z_c[y_c]
class Difference final : public StepFunction {
 public:
  explicit Difference(StepNeeds attributed) : attributed_(attributed) {}
  StepNeeds needs(StepRole role) const override {
    return role == StepRole::attributed ? attributed_ : StepNeeds{.contrast_ids = true, .contrast_logits = true};
  }
  Tensor score(const StepInputs& inputs) const override { return target_logits(inputs) - contrast_logits(inputs); }

 private:
  StepNeeds attributed_;
};

/// Texts with contrasts whose own positions follow each other, so that they can be explained as texts, too.
class Contrasts : public testing::ProblemTest {
 protected:
  Difference same_pass{{.contrast_ids = true}}, forced{{.contrast_ids = true, .contrast_logits = true}},
      fixed{{.contrast_ids = true, .contrast_logits = true, .fixed_contrast = true}};
  std::unique_ptr<StepFunction> logit = testing::built_plugins().make_step_function(choice("logit"));

  static std::vector<Token> tokens(const TokenIds& ids) { return fake_sequence(ids, {1, 2}).target; }

  /// The texts with contrasts of the given sides; these begin and end elsewhere.
  static std::vector<Sequence> compared(const Model& model, bool source, bool target) {
    std::vector<Sequence> sequences = texts(model);
    const std::vector<TokenIds> sources{{9, 3}, {7, 2, 4, 10, 6}, {5, 8}};
    const std::vector<TokenIds> targets{{4, 11, 6, 3, 8, 2, 10, 5, 7}, {2, 9, 4, 6, 3}, {8, 5, 11, 2, 7, 3, 9}};
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      Contrast& contrast = sequences[i].contrast.emplace();
      if (source) contrast.source = tokens(sources[i]);
      if (!target) continue;
      contrast.target = tokens(targets[i]);
      for (std::int64_t t = 0; t < sequences[i].steps.size(); ++t) contrast.positions.push_back(3 + t - (i == 1));
    }
    return sequences;
  }

  /// The contrasts as texts of their own, whose steps are what the texts are compared with.
  static std::vector<Sequence> others(std::vector<Sequence> sequences) {
    for (Sequence& sequence : sequences) {
      const Contrast contrast = *std::exchange(sequence.contrast, std::nullopt);
      if (!contrast.source.empty()) sequence.source = contrast.source;
      if (contrast.target.empty()) continue;
      sequence.target = contrast.target;
      sequence.steps = {contrast.positions.front(), contrast.positions.back() + 1};
    }
    return sequences;
  }

  /// What a request gives for the texts and for their contrasts, scored by the logit.
  template <class Ask>
  auto apart(const Model& model, const std::vector<Sequence>& sequences, Problem::Options options, const Ask& ask) {
    const Problem own(model, *logit, sequences, options), other(model, *logit, others(sequences), options);
    return std::pair(ask(own), ask(other));
  }
};

const Problem::Options kBothSides{}, kSourceOnly{.attribute_target = false};

TEST_F(Contrasts, ScoresLookTheOtherTokenUp) {
  for (const bool source : {false, true}) {
    const auto sequences = compared(source ? translator : model, source, true);
    const Model& subject = source ? translator : model;
    const auto [own, other] = apart(subject, sequences, {}, [](const Problem& problem) { return problem.scores(); });
    EXPECT_TRUE(near(Problem(subject, forced, sequences, {}).scores(), own - other));
    EXPECT_TRUE(near(Problem(subject, fixed, sequences, {}).scores(), own - other));
    // Recorded, it sees the other text whatever it would see explained.
    const Problem recorded(subject, *logit, sequences, {});
    EXPECT_TRUE(near(recorded.scores(same_pass), own - other));
  }
}

TEST_F(Contrasts, WithoutAPassOfItsOwnTheLogitsAreThoseOfTheText) {
  const auto sequences = compared(model, false, true);
  const Problem problem(model, same_pass, sequences, {});
  const Work before = model.work();
  const Tensor scores = problem.scores();
  EXPECT_EQ((model.work() - before).forward_passes, 1);
  const Tensor logits = model.forward(problem.inputs(), {.positions = problem.predicting_positions()}).logits;
  for (std::int64_t b = 0; b < problem.batch_size(); ++b) {
    const Sequence& text = sequences[static_cast<std::size_t>(b)];
    for (std::int64_t t = 0; t < text.steps.size(); ++t) {
      const auto own = text.target.at(static_cast<std::size_t>(text.steps.start + t)).id;
      const auto position = text.contrast->positions.at(static_cast<std::size_t>(t));
      const auto other = text.contrast->target.at(static_cast<std::size_t>(position)).id;
      EXPECT_NEAR(scores[b][t].item<float>(), (logits[b][t][own] - logits[b][t][other]).item<float>(), 1e-5);
    }
  }
}

TEST_F(Contrasts, GradientsPassThroughASourceThatBothShare) {
  const auto sequences = compared(translator, false, true);
  const auto ask = [](const Problem& problem) { return problem.gradients(); };
  const auto [own, other] = apart(translator, sequences, kBothSides, ask);
  const InputGradients got = ask(Problem(translator, forced, sequences, kBothSides));
  EXPECT_TRUE(near(got.source, own.source - other.source));
  EXPECT_TRUE(near(got.target, own.target));  // the other target stays
  EXPECT_TRUE(near(ask(Problem(translator, fixed, sequences, kBothSides)).source, own.source));
}

TEST_F(Contrasts, GradientsPassThroughATargetThatBothShare) {
  const auto sequences = compared(translator, true, false);
  const auto ask = [](const Problem& problem) { return problem.gradients(); };
  const auto [own, other] = apart(translator, sequences, kBothSides, ask);
  const InputGradients got = ask(Problem(translator, forced, sequences, kBothSides));
  EXPECT_TRUE(near(got.source, own.source));
  EXPECT_TRUE(near(got.target, own.target - other.target));
  // Where the target is not attributed, nothing that moves is shared, and one pass serves all.
  const Problem constant(translator, forced, sequences, kSourceOnly);
  const Work before = translator.work();
  EXPECT_TRUE(near(ask(constant).source, own.source));
  EXPECT_EQ((translator.work() - before).forward_passes, 1);
}

TEST_F(Contrasts, GradientsOfADecoderOnlyModelTakeTheOtherTextAsAConstant) {
  const auto sequences = compared(model, false, true);
  const auto ask = [](const Problem& problem) { return problem.gradients().target; };
  EXPECT_TRUE(near(ask(Problem(model, forced, sequences, {})), ask(Problem(model, *logit, sequences, {}))));
}

TEST_F(Contrasts, FiniteDifferencesAgreeWithTheGradients) {
  const auto sequences = compared(translator, false, true);
  const Problem problem(translator, forced, sequences, kSourceOnly);
  const Tensor gradients = problem.gradients().source, input = problem.embeddings(Side::source);
  constexpr double kStep = 1e-2;
  // One unit of the first source row of every text, up and down.
  for (std::int64_t unit = 0; unit < input.size(2); ++unit) {
    const Points points{.count = 2, .rows = [&](const PointPlace& at) {
                          Tensor rows = input[at.sequence].clone();
                          rows[0][unit] += at.point == 0 ? kStep : -kStep;
                          return rows;
                        }};
    const Tensor moved = problem.scores(points);
    EXPECT_TRUE(near(gradients.select(1, 0).select(-1, unit), (moved[0] - moved[1]) / (2 * kStep), 2e-3, 2e-3));
  }
}

TEST_F(Contrasts, PathsAreIntegratedThroughBothTexts) {
  const auto sequences = compared(translator, false, true);
  const Path path{.levels = {{{0.1, 0.5, 0.9}, {0.3, 0.4, 0.3}}}};
  const auto ask = [&](const Problem& problem) {
    return problem.integrate(path, {.multiply = Multiply::input_minus_baseline});
  };
  const auto [own, other] = apart(translator, sequences, kSourceOnly, ask);
  const PathIntegral got = ask(Problem(translator, forced, sequences, kSourceOnly));
  EXPECT_TRUE(near(got.source, own.source - other.source));
  EXPECT_TRUE(near(got.gap, own.gap - other.gap, 1e-4, 1e-5));
}

TEST_F(Contrasts, RowsThatMoveAloneMoveInBothTexts) {
  const auto sequences = compared(translator, true, false);
  const Path path{.levels = {{{0.2, 0.7}, {0.5, 0.5}}}, .one_position = true};
  const auto ask = [&](const Problem& problem) { return problem.integrate(path); };
  const auto [own, other] = apart(translator, sequences, kBothSides, ask);
  const PathIntegral got = ask(Problem(translator, forced, sequences, kBothSides));
  EXPECT_TRUE(near(got.source, own.source));
  EXPECT_TRUE(near(got.target, own.target - other.target));
}

TEST_F(Contrasts, LayersOfASharedEncoderAreShared) {
  const auto sequences = compared(translator, false, true);
  const auto at = [](Side stack) {
    return [stack](const Problem& problem) {
      const InputGradients got = problem.gradients({.layers = {{stack, 1}}});
      return stack == Side::source ? got.source : got.target;
    };
  };
  const auto [own, other] = apart(translator, sequences, kBothSides, at(Side::source));
  const Problem problem(translator, forced, sequences, kBothSides);
  EXPECT_TRUE(near(at(Side::source)(problem), own - other));
  EXPECT_TRUE(near(at(Side::target)(problem), at(Side::target)(Problem(translator, *logit, sequences, kBothSides))));
  const auto all = [](const Problem& each) { return each.layer_gradients(); };
  const auto [own_all, other_all] = apart(translator, sequences, kBothSides, all);
  EXPECT_TRUE(near(all(problem).source, own_all.source - other_all.source));
  EXPECT_TRUE(near(all(problem).target, own_all.target));
}

TEST_F(Contrasts, ReferencePassesGoOverBothTexts) {
  const auto sequences = compared(translator, false, true);
  const auto ask = [](const Problem& problem) {
    return problem.gradients(
        {.multiply = Multiply::input_minus_baseline, .rules = {{"activation", "deeplift"}}, .gap = true});
  };
  const auto [own, other] = apart(translator, sequences, kSourceOnly, ask);
  const InputGradients got = ask(Problem(translator, forced, sequences, kSourceOnly));
  EXPECT_TRUE(near(got.source, own.source - other.source));
  EXPECT_TRUE(near(got.gap, own.gap - other.gap, 1e-4, 1e-5));
}

TEST_F(Contrasts, VariantsChangeBothTexts) {
  for (const Removal removal : {Removal::baseline, Removal::erase, Removal::mask, Removal::zero}) {
    auto sequences = compared(translator, false, true);
    Variants variants{.source_mask = at::eye(4, at::kBool), .removal = {removal}};
    const auto ask = [&](const Problem& problem) { return problem.scores(variants); };
    const auto [own, other] = apart(translator, sequences, kBothSides, ask);
    EXPECT_TRUE(near(ask(Problem(translator, forced, sequences, kBothSides)), own - other));
    sequences = compared(translator, true, false);
    variants = {.target_mask = at::eye(8, at::kBool).narrow(0, 0, 7), .removal = {removal}};
    const auto [own_target, other_target] = apart(translator, sequences, kBothSides, ask);
    EXPECT_TRUE(near(ask(Problem(translator, forced, sequences, kBothSides)), own_target - other_target));
  }
  // What is fixed stays.
  const auto sequences = compared(model, false, true);
  const Variants variants{.target_mask = at::eye(8, at::kBool).narrow(0, 0, 7), .removal = {Removal::erase}};
  const Tensor own = Problem(model, *logit, sequences, {}).scores(variants);
  const Tensor other = Problem(model, *logit, others(sequences), {}).scores();
  EXPECT_TRUE(near(Problem(model, forced, sequences, {}).scores(variants), own - other));
}

TEST_F(Contrasts, ResultsDependNeitherOnTheBudgetNorOnTheBatch) {
  const auto sequences = compared(translator, false, true);
  const auto ask = [&](std::vector<Sequence> some, std::int64_t budget) {
    Problem::Options options = kSourceOnly;
    options.memory_bytes = budget;
    return Problem(translator, forced, std::move(some), options).gradients().source;
  };
  const Tensor all = ask(sequences, 0);
  const std::int64_t least = testing::least_budget([&](std::int64_t budget) { ask(sequences, budget); });
  EXPECT_TRUE(near(ask(sequences, least), all));
  const Tensor one = ask({sequences[1]}, 0);
  EXPECT_TRUE(near(all[1].narrow(0, 0, one.size(1)).narrow(1, 0, one.size(2)), one[0]));
}

TEST_F(Contrasts, WhatDoesNotFitIsRefusedBeforeAnyPass) {
  const auto refusal = [&](const Model& subject, const StepFunction& function, std::vector<Sequence> sequences) {
    const Work before = subject.work();
    const std::string text =
        text_of_error<Error>([&] { Problem(subject, function, std::move(sequences), {}).scores(); });
    EXPECT_EQ((subject.work() - before).forward_passes, 0);
    return text;
  };
  EXPECT_EQ(refusal(model, same_pass, texts(model)),
            "sequence '0': a step function compares with another text, but there is none; give a contrast");
  auto wrong = compared(model, false, true);
  wrong[1].contrast->positions[2] = 5;
  EXPECT_EQ(
      refusal(model, forced, wrong),
      "sequence '1': contrastive position 5 is outside a text of 5 tokens; expected 1 <= position < length, since "
      "a token needs a prefix that predicts it");
  wrong[1].contrast->positions[2] = 0;
  EXPECT_NE(refusal(model, forced, wrong).find("contrastive position 0 is outside"), std::string::npos);
  wrong[1].contrast->positions.pop_back();
  EXPECT_EQ(
      refusal(model, forced, wrong),
      "sequence '1': the contrast has 2 positions, expected 3; give one for each step when there is a contrastive "
      "target, else none");
  wrong[1].contrast = Contrast{};
  EXPECT_EQ(refusal(model, forced, wrong),
            "sequence '1': the contrast has neither a source nor a target; give one of them");
  wrong[1].contrast->source = tokens({3, 4});
  EXPECT_EQ(refusal(model, forced, wrong),
            "sequence '1': the contrast has a source; a decoder-only model takes prompt and continuation as one text, "
            "so give another target");
  auto mixed = compared(translator, false, true);
  mixed[2] = compared(translator, true, false)[2];
  EXPECT_EQ(
      refusal(translator, forced, mixed),
      "sequence '2': the contrast gives other sides than that of sequence '0'; give a source, a target or both for "
      "all");
  auto long_one = compared(translator, true, false);
  long_one[0].contrast->source = tokens(TokenIds(65, 3));
  EXPECT_EQ(refusal(translator, forced, long_one),
            "sequence '0': the contrast of 65 tokens is longer than the model's context of 64; shorten it");
  EXPECT_EQ(refusal(translator, same_pass, compared(translator, true, false)),
            "the contrast has a source, but no target, so the explained step function compares every token with itself "
            "in the same logits; set contrast_force_inputs: true to compare with a pass over that source, or give a "
            "target");
}

}  // namespace
}  // namespace whence
