#include <ATen/ops/arange.h>
#include <ATen/ops/zeros.h>

#include "support/plugins.h"
#include "support/tensors.h"
#include "support/text_of_error.h"

namespace whence {
namespace {

using testing::choice;
using testing::kNan;
using testing::near;
using testing::number;
using testing::numbers;
using testing::span;
using testing::text;
using testing::text_of_error;

SequenceAttribution apply(SequenceAttribution sequence, const std::string& aggregator, Value::Map params = {}) {
  testing::built_plugins().make_aggregator(choice(aggregator, std::move(params)))->apply(sequence);
  return sequence;
}

std::string error_of(const SequenceAttribution& sequence, const std::string& aggregator, Value::Map params = {}) {
  return text_of_error([&] { apply(sequence, aggregator, std::move(params)); });
}

#define EXPECT_CONTAINS(whole, part) EXPECT_NE((whole).find(part), std::string::npos) << (whole)

/// A sequence without scores yet, of which the last steps are explained.
SequenceAttribution tokens(std::size_t source, std::size_t target, std::int64_t steps) {
  SequenceAttribution sequence;
  sequence.source.resize(source);
  sequence.target.resize(target);
  sequence.steps = {std::ssize(sequence.target) - steps, std::ssize(sequence.target)};
  return sequence;
}

/// Two source rows and two target rows, one step, three hidden units.
SequenceAttribution granular() {
  SequenceAttribution sequence = tokens(2, 2, 1);
  sequence.source_attributions = numbers({2, 1, 3}, {1, -2, 2, 0, 0, 0});
  sequence.target_attributions = numbers({2, 1, 3}, {3, -4, 0, kNan, kNan, kNan});
  sequence.granularity = {"hidden"};
  return sequence;
}

const Value kNo(false), kYes(true);

TEST(Scores, DefaultsToTheNormalisedMean) {
  const SequenceAttribution got = apply(granular(), "scores");
  EXPECT_TRUE(got.granularity.empty());
  EXPECT_TRUE(near(got.source_attributions, numbers({2, 1}, {0.5, 0})));
  EXPECT_TRUE(near(got.target_attributions, numbers({2, 1}, {-0.5, kNan})));
}

TEST(Scores, PresetsNameTheFunction) {
  const std::map<std::string, std::vector<float>> expected = {
      {"mean", {1.f / 3, 0, -1.f / 3}}, {"sum", {1, 0, -1}},  {"max", {2, 0, 3}},  {"min", {-2, 0, -4}},
      {"absmax", {-2, 0, -4}},          {"vnorm", {3, 0, 5}}, {"prod", {-4, 0, 0}}};
  for (const auto& [name, values] : expected) {
    const SequenceAttribution got = apply(granular(), name, {{"normalize", kNo}});
    EXPECT_TRUE(near(got.source_attributions, numbers({2, 1}, {values[0], values[1]}))) << name;
    EXPECT_TRUE(near(got.target_attributions, numbers({2, 1}, {values[2], kNan}))) << name;
  }
}

TEST(Scores, NormOrder) {
  EXPECT_TRUE(near(apply(granular(), "vnorm", {{"norm_order", number(1)}, {"normalize", kNo}}).source_attributions,
                   numbers({2, 1}, {5, 0})));
}

TEST(Scores, SelectsEntries) {
  const auto source = [](Value::Map params) {
    params.emplace_back("normalize", kNo);
    return apply(granular(), "sum", std::move(params)).source_attributions;
  };
  EXPECT_TRUE(near(source({{"index", number(1)}}), numbers({2, 1}, {-2, 0})));
  EXPECT_TRUE(near(source({{"index", number(-3)}}), numbers({2, 1}, {1, 0})));
  EXPECT_TRUE(near(source({{"range", span(0, 2)}}), numbers({2, 1}, {-1, 0})));
  EXPECT_TRUE(near(source({{"range", span(-3, -1)}}), numbers({2, 1}, {-1, 0})));
  EXPECT_TRUE(near(source({{"indices", Value(Value::List{number(0), number(-1)})}}), numbers({2, 1}, {3, 0})));
}

TEST(Scores, RefusesBadSelections) {
  EXPECT_CONTAINS(error_of(granular(), "sum", {{"index", number(3)}}),
                  "index: 3 is outside a dimension of 3; expected -3 to 2");
  EXPECT_CONTAINS(error_of(granular(), "sum", {{"range", span(2, 2)}}),
                  "range: [2, 2] holds no entry of a dimension of 3; ranges are [start, end)");
  EXPECT_CONTAINS(error_of(granular(), "sum", {{"range", span(1, 4)}}),
                  "range: [1, 4] holds no entry of a dimension of 3; ranges are [start, end)");
  EXPECT_CONTAINS(error_of(granular(), "sum", {{"indices", Value(Value::List{number(0), number(-3)})}}),
                  "indices: -3 is given twice; list every index once");
  EXPECT_CONTAINS(error_of(granular(), "sum", {{"indices", Value(Value::List{})}}),
                  "indices: the list is empty; give at least one index");
  EXPECT_CONTAINS(error_of(granular(), "sum", {{"index", number(0)}, {"range", span(0, 1)}}),
                  "index, range and indices: expected at most one of them; drop the others");
}

TEST(Scores, RescaleReplacesNormalize) {
  const SequenceAttribution got = apply(granular(), "sum", {{"rescale", kYes}});
  EXPECT_TRUE(near(got.source_attributions, numbers({2, 1}, {1, 0})));
  EXPECT_TRUE(near(got.target_attributions, numbers({2, 1}, {-1, kNan})));
  EXPECT_CONTAINS(error_of(granular(), "sum", {{"rescale", kYes}, {"normalize", kYes}}),
                  "normalize: cannot be joined with rescale, expected at most one of them; leave normalize out");
}

TEST(Scores, AnAllZeroStepStaysZero) {
  SequenceAttribution sequence = tokens(0, 3, 2);
  sequence.target_attributions = at::zeros({3, 2, 4});
  sequence.granularity = {"hidden"};
  EXPECT_TRUE(near(apply(sequence, "vnorm").target_attributions, at::zeros({3, 2})));
  EXPECT_TRUE(near(apply(sequence, "vnorm", {{"rescale", kYes}}).target_attributions, at::zeros({3, 2})));
}

TEST(Scores, OneStageRemovesOneDimension) {
  SequenceAttribution sequence = tokens(0, 2, 1);
  sequence.target_attributions = at::arange(2 * 1 * 2 * 3, at::kFloat).view({2, 1, 2, 3});
  sequence.sequence_scores["encoder_self_attentions"] = at::arange(4 * 2 * 3, at::kFloat).view({2, 2, 2, 3});
  sequence.granularity = {"layer", "head"};
  const SequenceAttribution once = apply(sequence, "mean", {{"normalize", kNo}});
  EXPECT_EQ(once.granularity, std::vector<std::string>{"layer"});
  EXPECT_TRUE(near(once.target_attributions, numbers({2, 1, 2}, {1, 4, 7, 10})));
  const SequenceAttribution twice = apply(once, "mean");
  EXPECT_TRUE(twice.granularity.empty());
  EXPECT_TRUE(near(twice.target_attributions, numbers({2, 1}, {2.5f / 11, 8.5f / 11})));
  // Maps are reduced with the rest, but never scaled.
  EXPECT_TRUE(near(twice.sequence_scores.at("encoder_self_attentions"), numbers({2, 2}, {2.5, 8.5, 14.5, 20.5})));
}

TEST(Scores, NothingLeftToReduceIsAnError) {
  SequenceAttribution sequence = tokens(0, 3, 2);
  sequence.target_attributions = at::zeros({3, 2});
  EXPECT_CONTAINS(error_of(sequence, "scores"),
                  "scores: attributions hold one value for each token and step, no dimension is left to reduce; leave "
                  "this stage out, or "
                  "scale them with the aggregator normalize or rescale");
}

TEST(Scores, StepScoresAloneStayAsTheyAre) {
  SequenceAttribution sequence = tokens(0, 3, 2);
  sequence.step_scores["probability"] = numbers({2}, {0.5, 1});
  EXPECT_TRUE(near(apply(sequence, "scores").step_scores.at("probability"), numbers({2}, {0.5, 1})));
}

TEST(Normalize, ScalesFinishedScores) {
  SequenceAttribution sequence = tokens(0, 3, 2);
  sequence.target_attributions = numbers({3, 2}, {1, 0, -3, 0, kNan, 0});
  EXPECT_TRUE(near(apply(sequence, "normalize").target_attributions, numbers({3, 2}, {0.25, 0, -0.75, 0, kNan, 0})));
}

TEST(Rescale, ScalesFinishedScores) {
  SequenceAttribution sequence = tokens(0, 3, 2);
  sequence.target_attributions = numbers({3, 2}, {1, 2, -4, 0, kNan, 0});
  EXPECT_TRUE(near(apply(sequence, "rescale").target_attributions, numbers({3, 2}, {0.25, 0.5, -1, 0, kNan, 0})));
}

}  // namespace
}  // namespace whence
