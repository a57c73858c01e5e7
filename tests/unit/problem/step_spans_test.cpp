// Spans of steps that are explained as one: what every request gives for them, and what it costs.
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/stack.h>

#include "problem_test.h"
#include "whence/coalition_game.h"
#include "whence/token_scores.h"

namespace whence {
namespace {

using testing::near;
using testing::text_of_error;

class StepSpans : public testing::ProblemTest {
 protected:
  /// Spans of the three texts: of uneven size, some of one step, of other numbers.
  static std::vector<std::vector<Span>> spans() { return {{{2, 5}, {5, 6}, {6, 8}}, {{1, 4}}, {{2, 3}, {3, 6}}}; }

  static std::vector<Sequence> joined(std::vector<Sequence> sequences, SpanScore combine = SpanScore::sum) {
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      sequences[i].step_spans = spans()[i];
      sequences[i].span_score = combine;
    }
    return sequences;
  }

  /// Columns of single steps, dim `dim` behind that of the sequences [..,B,..,T,..], as those of the spans.
  static Tensor combined(const Tensor& singles, const Problem& of_spans, std::int64_t batch, std::int64_t dim) {
    std::vector<Tensor> texts;
    for (std::int64_t b = 0; b < of_spans.batch_size(); ++b) {
      const Sequence& sequence = of_spans.sequences()[static_cast<std::size_t>(b)];
      const Tensor own = singles.select(batch, b);
      std::vector<Tensor> columns;
      for (std::int64_t t = 0; t < of_spans.steps(); ++t) {
        const Span span =
            t < sequence.columns() ? sequence.column(t) : Span{sequence.steps.start, sequence.steps.start};
        const Tensor part = own.narrow(dim - 1, span.start - sequence.steps.start, span.size()).sum(dim - 1);
        columns.push_back(sequence.span_score == SpanScore::mean && span.size() > 0 ? part / span.size() : part);
      }
      texts.push_back(at::stack(columns, dim - 1));
    }
    return at::stack(texts, batch);
  }

  std::vector<const Model*> models() const { return {&model, &alone, &translator}; }
};

TEST_F(StepSpans, ScoreTheSumOrMeanOfTheirSteps) {
  const auto logit = testing::built_plugins().make_step_function(testing::choice("logit"));
  for (const Model* each : models())
    for (const SpanScore combine : {SpanScore::sum, SpanScore::mean}) {
      const Problem singles = problem(*each), of_spans(*each, *score, joined(texts(*each), combine), {});
      EXPECT_EQ(of_spans.steps(), 3);
      EXPECT_TRUE(near(of_spans.scores(), combined(singles.scores(), of_spans, 0, 1)));
      EXPECT_TRUE(near(of_spans.scores(*logit), combined(singles.scores(*logit), of_spans, 0, 1)));
      const Nodes nodes{{0.0, 0.3, 1.0}, {1, 1, 1}};
      EXPECT_TRUE(near(of_spans.scores(nodes), combined(singles.scores(nodes), of_spans, 1, 2)));
      EXPECT_TRUE(of_spans.step_mask().equal(of_spans.predicting_positions() >= 0));
      EXPECT_EQ(of_spans.predicting_positions()[0][2].item<std::int64_t>(), 6);
    }
}

TEST_F(StepSpans, HaveTheGradientOfTheirScoreFromOneBackward) {
  for (const Model* each : models())
    for (const SpanScore combine : {SpanScore::sum, SpanScore::mean}) {
      const InputGradients expected = problem(*each).gradients();
      const Problem of_spans(*each, *score, joined(texts(*each), combine), {});
      const InputGradients got = of_spans.gradients();
      EXPECT_TRUE(near(got.target, combined(expected.target, of_spans, 0, 2)));
      if (expected.source.defined()) {
        EXPECT_TRUE(near(got.source, combined(expected.source, of_spans, 0, 2)));
      }
      EXPECT_EQ(of_spans.cost().backward_passes, 1);
      EXPECT_EQ(of_spans.cost().forward_passes, 1);
      std::int64_t read = 0;
      for (const Sequence& text : of_spans.sequences())
        for (std::int64_t t = 0; t < text.columns(); ++t) read += text.column(t).end - 1 + std::ssize(text.source);
      EXPECT_EQ(of_spans.cost().backward_rows, read);
    }
}

TEST_F(StepSpans, HaveTheNormOfTheSummedGradient) {
  Problem::Options options;
  options.hidden_reduction = &testing::norm();
  const Problem reduced(model, *score, joined(texts(model)), options);
  const Problem full(model, *score, joined(texts(model)), {}), singles = problem(model);
  const Tensor norms = reduced.gradients().target;
  EXPECT_TRUE(near(norms, full.gradients().target.norm(2, {-1})));
  const Tensor of_norms = combined(singles.gradients().target.norm(2, {-1}), full, 0, 2);
  EXPECT_GT((of_norms - norms).max().item<double>(), 1e-3) << "norms of steps don't add up";
}

TEST_F(StepSpans, KeepTheirGradientsInLittleMemoryAndAtLayers) {
  const GradientRequest request{.multiply = Multiply::input, .layers = {{Side::target, 1}}};
  const Tensor expected = Problem(model, *score, joined(texts(model)), {}).gradients(request).target;
  EXPECT_TRUE(near(expected, combined(problem(model).gradients(request).target,
                                      Problem(model, *score, joined(texts(model)), {}), 0, 2)));
  const auto in_budget = [&](std::int64_t bytes) {
    return Problem(model, *score, joined(texts(model)), {.memory_bytes = bytes});
  };
  const Problem little =
      in_budget(testing::least_budget([&](std::int64_t bytes) { in_budget(bytes).gradients(request); }));
  EXPECT_TRUE(near(little.gradients(request).target, expected));
  EXPECT_GT(little.cost().backward_passes, 1);
}

TEST_F(StepSpans, OfOneTokenMayLieApart) {
  std::vector<Sequence> apart = texts(model);
  apart[0].step_spans = {{3, 4}, {6, 7}};
  apart[0].steps = {3, 7};
  apart.resize(1);
  const Problem all = problem(model), two(alone, *score, apart, {});
  const auto columns = [](const Tensor& of_all) { return at::stack({of_all.select(-1, 1), of_all.select(-1, 4)}, -1); };
  EXPECT_TRUE(near(two.scores(), columns(all.scores()[0]).unsqueeze(0)));
  EXPECT_TRUE(near(two.gradients().target[0].transpose(1, 2),
                   columns(all.gradients().target[0].transpose(1, 2)).narrow(0, 0, 7)));
  EXPECT_EQ(two.cost().backward_rows, 3 + 6);
}

TEST_F(StepSpans, AreCompleteAlongPaths) {
  for (const Model* each : models()) {
    const Problem singles = problem(*each), of_spans(*each, *score, joined(texts(*each)), {});
    Path path;
    path.levels = {Nodes{{}, {}}};
    for (int i = 0; i < 64; ++i) {
      path.levels[0].alphas.push_back((i + 0.5) / 64);
      path.levels[0].weights.push_back(1.0 / 64);
    }
    const GradientRequest request{.multiply = Multiply::input_minus_baseline};
    const PathIntegral got = of_spans.integrate(path, request), expected = singles.integrate(path, request);
    EXPECT_TRUE(near(got.target, combined(expected.target, of_spans, 0, 2)));
    EXPECT_LT(got.gap.abs().max().item<double>(), 2e-2);
    Tensor sums = got.target.sum({1, 3});
    if (got.source.defined()) sums += got.source.sum({1, 3});
    const Tensor difference = of_spans.scores() - of_spans.scores(Nodes{{0.0}, {1.0}})[0];
    EXPECT_TRUE(near(sums - difference, got.gap, 1e-4, 1e-5));
    // Passes over rows that move alone begin behind what the steps before them read.
    path.one_position = true;
    EXPECT_TRUE(near(of_spans.integrate(path, request).target,
                     combined(singles.integrate(path, request).target, of_spans, 0, 2)));
  }
}

TEST_F(StepSpans, SeeWhatTheirStepsSeeOfVariants) {
  for (const Model* each : models())
    for (const SpanScore combine : {SpanScore::sum, SpanScore::mean})
      for (const Removal removal : {Removal::baseline, Removal::zero, Removal::mask, Removal::erase}) {
        const Problem singles = problem(*each), of_spans(*each, *score, joined(texts(*each), combine), {});
        // One token each, two neighbours, and all.
        const std::int64_t rows = singles.length(Side::target);
        const Tensor one = at::eye(rows, at::kBool);
        Variants variants{.target_mask = at::cat({one, one.logical_or(one.roll(1, 0)), one.new_ones({1, rows})}),
                          .removal = {removal}};
        EXPECT_TRUE(near(of_spans.scores(variants), combined(singles.scores(variants), of_spans, 1, 2)))
            << static_cast<int>(removal);
        if (each != &translator) continue;
        variants.target_mask.reset();
        variants.source_mask = at::eye(singles.length(Side::source), at::kBool);
        EXPECT_TRUE(near(of_spans.scores(variants), combined(singles.scores(variants), of_spans, 1, 2)));
      }
}

/// z[y] - z_c[y_c], live or not.
class Difference final : public StepFunction {
 public:
  explicit Difference(bool fixed) : fixed_(fixed) {}
  StepNeeds needs(StepRole) const override {
    return {.contrast_ids = true, .contrast_logits = true, .fixed_contrast = fixed_};
  }
  Tensor score(const StepInputs& inputs) const override { return target_logits(inputs) - contrast_logits(inputs); }

 private:
  bool fixed_;
};

TEST_F(StepSpans, CompareEveryStepWithItsOwnToken) {
  std::vector<Sequence> sequences = texts(translator);
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    sequences[i].contrast = {.target = testing::fake_sequence({4, 11, 6, 3, 8, 2, 10, 5, 7}, {1, 2}).target};
    for (std::int64_t t = 0; t < sequences[i].steps.size(); ++t) sequences[i].contrast->positions.push_back(8 - t);
  }
  for (const bool fixed : {false, true}) {
    const Difference difference(fixed);
    const Problem singles(translator, difference, sequences, {}),
        of_spans(translator, difference, joined(sequences), {});
    EXPECT_TRUE(near(of_spans.scores(), combined(singles.scores(), of_spans, 0, 1), 1e-5, 1e-5));
    EXPECT_TRUE(near(of_spans.gradients().source, combined(singles.gradients().source, of_spans, 0, 2), 1e-4, 1e-5));
  }
}

TEST_F(StepSpans, AreRefusedWhereTheyMakeNoSense) {
  const auto error = [&](std::vector<Span> spans, Span steps = {2, 8}) {
    std::vector<Sequence> sequences = texts(model);
    sequences[0].step_spans = std::move(spans);
    sequences[0].steps = steps;
    return text_of_error<InputError>([&] { Problem(model, *score, sequences, {}); });
  };
  EXPECT_EQ(error({{2, 5}, {4, 8}}),
            "sequence '0': explained span [4, 8) overlaps or precedes the span before it, or the "
            "first step; spans are [start, end) with start < end, ascending and without overlap");
  EXPECT_EQ(error({{2, 2}, {4, 8}}),
            "sequence '0': explained span [2, 2) is empty; spans are [start, end) with start < "
            "end, ascending and without overlap");
  EXPECT_EQ(error({{2, 5}, {5, 7}}),
            "sequence '0': explained spans reach from 2 to 7, but the explained positions are "
            "[2, 8); make both the same");
  const Problem of_spans(model, *score, joined(texts(model)), {});
  const std::string single = "sequence '0': spans of steps are explained as one, but ";
  EXPECT_TRUE(text_of_error<ConfigError>([&] {
                of_spans.observe({.attentions = true});
              }).starts_with(single + "attention weights and layer states are of single steps"));
  EXPECT_TRUE(text_of_error<ConfigError>([&] {
                of_spans.directions("m");
              }).starts_with(single + "the directions of method 'm' are of single steps"));
  EXPECT_TRUE(text_of_error<ConfigError>([&] {
                of_spans.decompose("m", true, [](const BlockParts&) {});
              }).starts_with(single + "the parts of method 'm' are of single steps"));
  EXPECT_TRUE(text_of_error<ConfigError>([&] {
                of_spans.attention_gradients([](const AttentionGradient&) {});
              }).starts_with(single + "gradients of attention weights are of single steps"));
  EXPECT_EQ(of_spans.cost().forward_passes, 0);
}

}  // namespace
}  // namespace whence
