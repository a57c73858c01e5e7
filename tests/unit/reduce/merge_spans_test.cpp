#include "whence/merge_spans.h"

#include "support/tensors.h"
#include "support/text_of_error.h"
#include "whence/error.h"

namespace whence {
namespace {

using testing::kNan;
using testing::near;
using testing::numbers;
using testing::text_of_error;

/// Five target tokens a..e of which d and e are explained, three source tokens x..z; target rows stop at the last step.
SequenceAttribution example() {
  SequenceAttribution sequence;
  std::int64_t id = 10;
  for (const char* text : {"a", "b", "c", "d", "e"}) sequence.target.push_back({text, id++});
  for (const char* text : {"x", "y", "z"}) sequence.source.push_back({text, id++});
  sequence.steps = {3, 5};
  sequence.target_attributions = numbers({5, 2}, {1, 2, -3, 4, 5, -6, kNan, 7, kNan, kNan});
  sequence.source_attributions = numbers({3, 2}, {1, -2, 3, 4, -5, 6});
  sequence.step_scores = {
      {"probability", numbers({2}, {0.5, 0.25})}, {"entropy", numbers({2}, {1, 2})}, {"logit", numbers({2}, {-3, 2})}};
  sequence.step_score_merges = {{"probability", "prod"}, {"entropy", "sum"}};
  return sequence;
}

std::vector<std::string> texts(const std::vector<Token>& tokens) {
  std::vector<std::string> list;
  for (const Token& token : tokens) list.push_back(token.text);
  return list;
}

using Texts = std::vector<std::string>;

TEST(MergeSpans, NoSpansChangeNothing) {
  SequenceAttribution sequence = example();
  merge_spans(sequence, {});
  const SequenceAttribution same = example();
  EXPECT_EQ(sequence.target, same.target);
  EXPECT_EQ(sequence.source, same.source);
  EXPECT_EQ(sequence.steps, same.steps);
  EXPECT_TRUE(near(sequence.target_attributions, same.target_attributions));
}

TEST(MergeSpans, MergesRowsBeforeTheSteps) {
  SequenceAttribution sequence = example();
  merge_spans(sequence, {.target_spans = {{0, 2}}});
  EXPECT_EQ(texts(sequence.target), (Texts{"ab", "c", "d", "e"}));
  EXPECT_EQ(sequence.target.front().id, -1);
  EXPECT_EQ(sequence.target.back().id, 14);
  EXPECT_EQ(sequence.steps, (Span{2, 4}));
  EXPECT_TRUE(near(sequence.target_attributions, numbers({4, 2}, {-3, 4, 5, -6, kNan, 7, kNan, kNan})));
  EXPECT_TRUE(near(sequence.step_scores["probability"], numbers({2}, {0.5, 0.25})));
}

TEST(MergeSpans, MergesStepsAndTheirScores) {
  SequenceAttribution sequence = example();
  merge_spans(sequence, {.target_spans = {{3, 5}}});
  EXPECT_EQ(texts(sequence.target), (Texts{"a", "b", "c", "de"}));
  EXPECT_EQ(sequence.steps, (Span{3, 4}));
  EXPECT_TRUE(near(sequence.target_attributions, numbers({4, 1}, {2, 4, -6, 7})));
  EXPECT_TRUE(near(sequence.source_attributions, numbers({3, 1}, {-2, 4, 6})));
  EXPECT_TRUE(near(sequence.step_scores["probability"], numbers({1}, {0.125})));
  EXPECT_TRUE(near(sequence.step_scores["entropy"], numbers({1}, {3})));
  EXPECT_TRUE(near(sequence.step_scores["logit"], numbers({1}, {-3})));
}

TEST(MergeSpans, OneReductionForAllStepScoresWhenAsked) {
  SequenceAttribution sequence = example();
  merge_spans(sequence, {.target_spans = {{3, 5}}, .reduction = "sum", .step_reduction = "mean"});
  EXPECT_TRUE(near(sequence.target_attributions, numbers({4, 1}, {3, 1, -1, kNan})));
  EXPECT_TRUE(near(sequence.step_scores["probability"], numbers({1}, {0.375})));
}

TEST(MergeSpans, ASpanAcrossTheFirstStepBecomesGenerated) {
  SequenceAttribution sequence = example();
  merge_spans(sequence, {.target_spans = {{1, 4}}});
  EXPECT_EQ(texts(sequence.target), (Texts{"a", "bcd", "e"}));
  EXPECT_EQ(sequence.steps, (Span{1, 3}));
  // Columns stay two: the span covers one step only.
  EXPECT_TRUE(near(sequence.target_attributions, numbers({3, 2}, {1, 2, 5, 7, kNan, kNan})));
}

TEST(MergeSpans, ASpanPastTheLastStepCountsItsExplainedPart) {
  SequenceAttribution sequence = example();
  sequence.steps = {2, 4};
  sequence.target_attributions = sequence.target_attributions.narrow(0, 0, 4);
  merge_spans(sequence, {.target_spans = {{3, 5}}});
  EXPECT_EQ(texts(sequence.target), (Texts{"a", "b", "c", "de"}));
  EXPECT_EQ(sequence.steps, (Span{2, 4}));
  EXPECT_EQ(sequence.target_attributions.sizes(), (at::IntArrayRef{4, 2}));
}

TEST(MergeSpans, MergesSourceRowsWithAnyGranularity) {
  SequenceAttribution sequence = example();
  sequence.source_attributions = numbers({3, 1, 2}, {1, 2, -3, 1, 5, 6});
  sequence.target_attributions = Tensor();
  sequence.steps = {4, 5};
  merge_spans(sequence, {.source_spans = {{0, 2}}});
  EXPECT_EQ(texts(sequence.source), (Texts{"xy", "z"}));
  EXPECT_TRUE(near(sequence.source_attributions, numbers({2, 1, 2}, {-3, 2, 5, 6})));
}

TEST(MergeSpans, MergesMapsAlongTheirSides) {
  SequenceAttribution sequence = example();
  sequence.sequence_scores = {
      {"encoder_self_attentions", numbers({3, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9})},
      {"decoder_self_attentions", numbers({4, 4}, {1, 0, 0, 0, 1, 2, 0, 0, 1, 2, 3, 0, 1, 2, 3, 4})},
      {"cross", numbers({3, 2}, {1, 2, 3, 4, 5, 6})}};
  merge_spans(sequence, {.source_spans = {{1, 3}}, .target_spans = {{0, 2}, {3, 5}}});
  EXPECT_TRUE(near(sequence.sequence_scores["encoder_self_attentions"], numbers({2, 2}, {1, 3, 7, 9})));
  EXPECT_TRUE(near(sequence.sequence_scores["decoder_self_attentions"], numbers({3, 3}, {2, 0, 0, 2, 3, 0, 2, 3, 4})));
  EXPECT_TRUE(near(sequence.sequence_scores["cross"], numbers({2, 1}, {2, 6})));
}

TEST(MergeSpans, MovesLabels) {
  SequenceAttribution sequence = example();
  sequence.target_labels = {{"prompt", {0, 3}}, {"answer", {3, 5}}, {"inside", {1, 2}}, {"nothing", {2, 2}}};
  merge_spans(sequence, {.target_spans = {{0, 3}}});
  EXPECT_EQ(sequence.target_labels,
            (std::vector<Label>{{"prompt", {0, 1}}, {"answer", {1, 3}}, {"inside", {0, 1}}, {"nothing", {0, 0}}}));
}

TEST(MergeSpans, RefusesBadSpans) {
  const auto error = [](std::vector<Span> source, std::vector<Span> target) {
    return text_of_error([&] {
      SequenceAttribution sequence = example();
      merge_spans(sequence, {.source_spans = source, .target_spans = target});
    });
  };
  const std::string rule = "; spans are [start, end) with start < end, ascending and without overlap";
  EXPECT_EQ(error({}, {{2, 2}}), "target_spans: span [2, 2] is empty" + rule);
  EXPECT_EQ(error({{2, 1}}, {}), "source_spans: span [2, 1] is empty" + rule);
  EXPECT_EQ(error({}, {{4, 6}}), "target_spans: span [4, 6] is outside the 5 target tokens" + rule);
  EXPECT_EQ(error({}, {{-1, 2}}), "target_spans: span [-1, 2] is outside the 5 target tokens" + rule);
  EXPECT_EQ(error({{0, 2}, {1, 3}}, {}), "source_spans: span [1, 3] overlaps or precedes the span before it" + rule);
  EXPECT_EQ(error({}, {{2, 4}, {0, 1}}), "target_spans: span [0, 1] overlaps or precedes the span before it" + rule);
}

TEST(MergeSpans, ABadSpanLeavesTheSequenceAsItWas) {
  SequenceAttribution sequence = example();
  EXPECT_THROW(merge_spans(sequence, {.source_spans = {{0, 2}}, .target_spans = {{0, 9}}}), ConfigError);
  EXPECT_EQ(sequence.source, example().source);
}

}  // namespace
}  // namespace whence
