#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>

#include "host/aggregation.h"
#include "support/plugins.h"
#include "support/tensors.h"
#include "support/text_of_error.h"

namespace whence {
namespace {

using testing::choice;
using testing::span;
using testing::text;
using testing::text_of_error;

using Texts = std::vector<std::string>;

#define EXPECT_CONTAINS(whole, part) EXPECT_NE((whole).find(part), std::string::npos) << (whole)

/// The texts as target, of which those from `first` on are explained; row r holds 10 r + step.
SequenceAttribution explained(const Texts& texts, std::int64_t first) {
  SequenceAttribution sequence;
  for (const std::string& each : texts) sequence.target.push_back({each, 5});
  sequence.steps = {first, std::ssize(texts)};
  sequence.source.assign(sequence.target.begin(), sequence.target.begin() + first);
  sequence.target_attributions =
      at::arange(std::ssize(texts), at::kFloat).mul(10).unsqueeze(1) + at::arange(sequence.steps.size(), at::kFloat);
  return sequence;
}

SequenceAttribution apply(SequenceAttribution sequence, const std::string& aggregator, Value::Map params) {
  testing::built_plugins().make_aggregator(choice(aggregator, std::move(params)))->apply(sequence);
  return sequence;
}

Texts texts_of(const std::vector<Token>& tokens) {
  Texts texts;
  for (const Token& token : tokens) texts.push_back(token.text);
  return texts;
}

std::vector<float> first_column(const SequenceAttribution& sequence) {
  const Tensor column = sequence.target_attributions.select(1, 0).contiguous();
  return {column.data_ptr<float>(), column.data_ptr<float>() + column.numel()};
}

Value spans(std::initializer_list<Value> list) { return Value(Value::List(list)); }

// --- slices ---------------------------------------------------------------------------------------------------------

TEST(Slices, KeepsTheGivenRowsAndAllExplainedTokens) {
  SequenceAttribution sequence = explained({"a", "b", "c", "d", "e", "f"}, 4);
  sequence.target_labels = {{"head", {0, 2}}, {"gone", {2, 3}}, {"tail", {3, 6}}};
  const SequenceAttribution got = apply(sequence, "slices", {{"target_spans", spans({span(1, 2), span(3, 5)})}});
  EXPECT_EQ(texts_of(got.target), (Texts{"b", "d", "e", "f"}));
  EXPECT_EQ(texts_of(got.source), (Texts{"b", "d"}));
  EXPECT_EQ(got.steps, (Span{2, 4}));
  EXPECT_EQ(first_column(got), (std::vector<float>{10, 30, 40, 50}));
  ASSERT_EQ(got.target_labels.size(), 2u);
  EXPECT_EQ(got.target_labels[0].span, (Span{0, 1}));
  EXPECT_EQ(got.target_labels[1].span, (Span{1, 4}));
}

TEST(Slices, RefusesSpansOutsideTheTokens) {
  const std::string error =
      text_of_error([&] { apply(explained({"a", "b", "c"}, 2), "slices", {{"target_spans", spans({span(1, 9)})}}); });
  EXPECT_CONTAINS(error, "target_spans: span [1, 9] is outside the 3 target tokens");
}

// --- split ----------------------------------------------------------------------------------------------------------

Texts split(const Texts& texts, const std::string& pattern, const std::string& mode) {
  const auto got = apply(explained(texts, std::ssize(texts) - 1), "split",
                         {{"split_pattern", text(pattern)}, {"split_mode", text(mode)}});
  return texts_of(got.target);
}

TEST(Split, CutsAroundMatches) {
  const Texts letters{"a", "a", "m", "b", "m", "m", "c"};
  EXPECT_EQ(split(letters, "m", "single"), (Texts{"aa", "m", "b", "m", "m", "c"}));
  EXPECT_EQ(split(letters, "m", "start"), (Texts{"aa", "mb", "m", "mc"}));
  EXPECT_EQ(split(letters, "m", "end"), (Texts{"aam", "bm", "m", "c"}));
}

TEST(Split, AMatchCoversEveryTokenItTouches) {
  EXPECT_EQ(split({"ab", "cd", "ef", "gh"}, "bcde", "single"), (Texts{"abcdef", "gh"}));
  // The second match begins in a token that the first one has.
  EXPECT_EQ(split({"ab", "cd", "ef", "g"}, "bc|de", "single"), (Texts{"abcd", "ef", "g"}));
}

TEST(Split, ReadsUnicodeAndMergesNothingWithoutAMatch) {
  EXPECT_EQ(split({"Où", "▁é", "t", "é"}, "\\w▁\\w", "single"), (Texts{"Où▁é", "té"}));
  EXPECT_EQ(split({"a", "b"}, "x", "start"), (Texts{"a", "b"}));
  EXPECT_EQ(split({"a", "b"}, "x*", "start"), (Texts{"a", "b"})) << "empty matches";
}

TEST(Split, RefusesWhatIsNoExpressionAndWhatNeverEnds) {
  EXPECT_CONTAINS(text_of_error([] { split({"a"}, "(a", "single"); }),
                  "split_pattern: '(a' is no regular expression: missing closing parenthesis, at byte 2");
  EXPECT_CONTAINS(text_of_error([] { split({std::string(60, 'a'), "b"}, "(a+)+$", "single"); }),
                  "split_pattern: '(a+)+$' could not be searched for in a text of 61 bytes: match limit exceeded");
}

// --- units ----------------------------------------------------------------------------------------------------------

SequenceAttribution units(const SequenceAttribution& sequence, const std::string& unit, Value::Map params = {}) {
  params.emplace_back("unit", text(unit));
  return apply(sequence, "units", std::move(params));
}

TEST(Units, SumTheTokensOfSentencesBeforeTheExplainedOnes) {
  const SequenceAttribution sequence =
      explained({"<s>", "Mr", ".", "ĠWho", "Ġcame", ".", "ĠHe", "Ġsaw", "Ġme", "."}, 8);
  const SequenceAttribution got = units(sequence, "sentence");
  EXPECT_EQ(texts_of(got.target), (Texts{"<s>", "Mr.ĠWhoĠcame.", "ĠHeĠsaw", "Ġme", "."}));
  EXPECT_EQ(got.steps, (Span{3, 5}));
  EXPECT_EQ(first_column(got), (std::vector<float>{0, 150, 130, 80, 90}));
  const SequenceAttribution merged = units(sequence, "sentence", {{"merge_steps", Value(true)}});
  EXPECT_EQ(texts_of(merged.target), (Texts{"<s>", "Mr.ĠWhoĠcame.", "ĠHeĠsawĠme."}));
  EXPECT_EQ(merged.target_attributions.size(1), 1);
}

TEST(Units, FindWordsOfEveryKindOfVocabulary) {
  EXPECT_EQ(texts_of(units(explained({"▁un", "do", "▁it", "x"}, 3), "word").target), (Texts{"▁undo", "▁it", "x"}));
  EXPECT_EQ(texts_of(units(explained({"un", "do</w>", "it</w>", "x"}, 3), "word").target),
            (Texts{"undo</w>", "it</w>", "x"}));
  EXPECT_EQ(texts_of(units(explained({"un", "##do", "it", "x"}, 3), "word").target), (Texts{"un##do", "it", "x"}));
}

TEST(Units, MergeMessagesUnderTheirRoles) {
  SequenceAttribution sequence = explained({"<|u|>", "Hi", "Ċ", "<|a|>", "Ho", "x"}, 5);
  sequence.target_labels = {{"user", {0, 1}, LabelKind::markup, 0},
                            {"user", {1, 2}, LabelKind::content, 0},
                            {"user", {2, 3}, LabelKind::markup, 0},
                            {"assistant", {3, 4}, LabelKind::markup, 1},
                            {"assistant", {4, 6}, LabelKind::content, 1}};
  const SequenceAttribution got = units(sequence, "turn");
  EXPECT_EQ(texts_of(got.target), (Texts{"user 0", "assistant 1", "x"}));
  EXPECT_EQ(first_column(got), (std::vector<float>{30, 70, 50}));
  EXPECT_CONTAINS(text_of_error([] { units(explained({"a", "b"}, 1), "turn"); }), "units: the text is no chat");
}

TEST(Units, MergeLabelledSpans) {
  SequenceAttribution sequence = explained({"a", "b", "c", "d", "e"}, 4);
  sequence.target_labels = {{"late", {1, 3}}, {"early", {0, 2}}};
  EXPECT_EQ(texts_of(units(sequence, "label").target), (Texts{"early", "c", "d", "e"}));
  EXPECT_CONTAINS(text_of_error([] { units(explained({"a", "b"}, 1), "label"); }),
                  "units: no span of the text is named");
}

// --- pair -----------------------------------------------------------------------------------------------------------

AttributionOutput output_of(SequenceAttribution sequence) {
  AttributionOutput output;
  output.sequences.push_back(std::move(sequence));
  return output;
}

SequenceAttribution paired(const SequenceAttribution& one, const SequenceAttribution& other,
                           std::vector<host::Choice> before = {}) {
  before.push_back(choice("pair", {{"with", text("other")}}));
  const auto find = [&](const std::string& name) {
    EXPECT_EQ(name, "other");
    return output_of(other);
  };
  return host::aggregated(testing::built_plugins(), output_of(one), before, find).sequences.at(0);
}

TEST(Pair, IsTheOtherMinusThisOne) {
  SequenceAttribution one = explained({"a", "b", "c"}, 2), other = explained({"a", "x", "c"}, 2);
  other.target_attributions = at::full({3, 1}, 7.0f);
  one.step_scores["probability"] = at::full({1}, 0.25f);
  other.step_scores["probability"] = at::full({1}, 1.0f);
  const SequenceAttribution got = paired(one, other);
  EXPECT_EQ(first_column(got), (std::vector<float>{7, -3, -13}));
  EXPECT_EQ(got.step_scores.at("probability").item<float>(), 0.75f);
  EXPECT_EQ(got.target[1], (Token{"b → x", -1}));
  EXPECT_EQ(got.target[0], (Token{"a", 5}));
}

TEST(Pair, TheOtherGoesThroughTheStagesBefore) {
  const SequenceAttribution one = explained({"a", "b", "c"}, 2);
  SequenceAttribution other = one;
  other.target_attributions = one.target_attributions * 4;
  const Tensor got = paired(one, other, {choice("normalize")}).target_attributions;
  EXPECT_LT(got.abs().max().item<float>(), 1e-7f);
}

TEST(Pair, RefusesWhatDoesNotFit) {
  const SequenceAttribution one = explained({"a", "b", "c"}, 2);
  EXPECT_CONTAINS(text_of_error([&] { paired(one, explained({"a", "b", "c", "d"}, 2)); }),
                  "pair: explains positions [2, 3) here and [2, 4) there");
  SequenceAttribution other = one;
  other.step_scores["entropy"] = at::full({1}, 1.0f);
  EXPECT_CONTAINS(text_of_error([&] { paired(one, other); }), "pair: entropy: missing here");
  EXPECT_CONTAINS(text_of_error([&] {
                    host::aggregated(testing::built_plugins(), output_of(one),
                                     {{choice("pair", {{"with", text("nobody")}})}});
                  }),
                  "there is no other result 'nobody' here");
}

}  // namespace
}  // namespace whence
