// What users write under `explain`, and the spans of a text that it comes to.
#include <gtest/gtest.h>

#include "host/experiment.h"
#include "host/yaml.h"
#include "support/fake_model.h"
#include "support/text_of_error.h"

namespace whence::host {
namespace {

using testing::text_of_error;

Experiment parse(const std::string& text) { return parse_experiment(parse_yaml(text, "e.yaml"), "/base"); }

const std::string kRest = "model: /m.gguf\nattributions: saliency\n";

TEST(Explain, IsOfAnInputOrOfAll) {
  const Experiment read = parse(
      kRest + "explain: {units: sentence, combine: mean, language: de}\n" +
      "inputs:\n  - hello\n  - {text: hi, explain: word}\n  - {text: ho, explain: {spans: [\"a b\", {tokens: [3, 5], "
      "name: both}]}}\n");
  ASSERT_EQ(read.inputs.size(), 3u);
  EXPECT_EQ(read.inputs[0].explain->units, "sentence");
  EXPECT_EQ(read.inputs[0].explain->combine, SpanScore::mean);
  EXPECT_EQ(read.inputs[0].explain->language, "de");
  EXPECT_EQ(read.inputs[1].explain->units, "word");
  EXPECT_EQ(read.inputs[1].explain->combine, SpanScore::sum);
  EXPECT_EQ(read.inputs[2].explain->units, "span");
  const Experiment again = parse_experiment(parse_yaml(to_yaml(resolved(read)), "r.yaml"), "/base");
  EXPECT_EQ(again.inputs, read.inputs);
  EXPECT_FALSE(parse(kRest + "inputs: hello\n").inputs[0].explain);
}

TEST(Explain, RefusesWhatItDoesNotKnow) {
  const auto error = [](const std::string& explain) {
    return text_of_error<ConfigError>([&] { parse(kRest + "inputs: hello\nexplain: " + explain + "\n"); });
  };
  const auto unknown = text_of_error<UnknownName>([] { parse(kRest + "inputs: hello\nexplain: sentense\n"); });
  EXPECT_NE(unknown.find("e.yaml:4:10: "), std::string::npos) << unknown;
  EXPECT_NE(unknown.find("'sentense'"), std::string::npos) << unknown;
  EXPECT_NE(unknown.find("sentence"), std::string::npos) << unknown;
  EXPECT_EQ(error("{units: word, spans: [a]}"),
            "e.yaml:4:10: 'explain' takes either 'units' or 'spans'; give one of them");
  EXPECT_EQ(error("{combine: mean}"), "e.yaml:4:10: 'explain' takes either 'units' or 'spans'; give one of them");
  EXPECT_EQ(error("{spans: []}"), "e.yaml:4:18: 'spans' is empty; list what is explained as one");
  EXPECT_NE(text_of_error<UnknownName>([] {
              parse(kRest + "inputs: hello\nexplain: {units: word, combine: max}\n");
            }).find("way to combine 'max'"),
            std::string::npos);
}

class SetStepSpans : public ::testing::Test {
 protected:
  testing::FakeModel model;
  /// t3 t7 t2 t9 t4 t6 t8 t9, of which those from the third on are explained.
  Sequence sequence = testing::fake_sequence({3, 7, 2, 9, 4, 6, 8, 9}, {2, 8});

  std::vector<Span> set(const std::string& explain) {
    set_step_spans(model, parse_explain(parse_yaml(explain, "e")), "here", sequence);
    return sequence.step_spans;
  }
  std::string error(const std::string& explain) {
    return text_of_error<InputError>([&] { set(explain); });
  }
};

TEST_F(SetStepSpans, OfUnits) {
  EXPECT_EQ(set("token"), std::vector<Span>());
  EXPECT_EQ(set("whole"), (std::vector<Span>{{2, 8}}));
  // The text is one sentence, of which what is explained is a part.
  EXPECT_EQ(set("{units: sentence, combine: mean}"), (std::vector<Span>{{2, 8}}));
  EXPECT_EQ(sequence.span_score, SpanScore::mean);
  EXPECT_EQ(set("word"), (std::vector<Span>{{2, 3}, {3, 4}, {4, 5}, {5, 6}, {6, 7}, {7, 8}}));
  EXPECT_EQ(sequence.steps, (Span{2, 8}));
  EXPECT_EQ(error("turn"), "here: has no turns to explain; give a chat, or choose other units under 'explain'");
}

TEST_F(SetStepSpans, OfTurnsWhatTheySay) {
  sequence.target_labels = {{"user", {0, 1}, LabelKind::content, 0},
                            {"user", {1, 2}, LabelKind::markup, 0},
                            {"assistant", {2, 3}, LabelKind::markup, 1},
                            {"assistant", {3, 6}, LabelKind::content, 1},
                            {"", {6, 8}, LabelKind::markup, -1}};
  EXPECT_EQ(set("turn"), (std::vector<Span>{{3, 6}}));
  EXPECT_EQ(sequence.steps, (Span{3, 6}));
  sequence.step_spans.clear();
  sequence.steps = {6, 8};
  EXPECT_EQ(error("turn"), "here: no turn says anything in the explained positions [6, 8); choose others");
}

TEST_F(SetStepSpans, NamedLeaveNoHoles) {
  EXPECT_EQ(set("spans: [{text: t6, name: six}, t2 t9]"), (std::vector<Span>{{2, 4}, {4, 5}, {5, 6}}));
  EXPECT_EQ(sequence.steps, (Span{2, 6}));
  ASSERT_EQ(sequence.target_labels.size(), 2u);
  EXPECT_EQ(sequence.target_labels[0], (Label{"t2 t9", {2, 4}}));
  EXPECT_EQ(sequence.target_labels[1], (Label{"six", {5, 6}}));
}

TEST_F(SetStepSpans, NamedStandInTheStepsOfTheTarget) {
  sequence.steps = {4, 8};
  EXPECT_EQ(set("spans: [t9]"), (std::vector<Span>{{7, 8}})) << "the other one is not explained";
  sequence.steps = {4, 8};
  EXPECT_EQ(error("spans: [t3 t7]"),
            "here: the span 't3 t7' is at [0, 2), outside of the explained positions [4, 8); name "
            "what lies in them, or move 'start' and 'end'");
  EXPECT_NE(error("spans: [t5]").find("here: the span 't5' is not in the text"), std::string::npos);
  EXPECT_EQ(error("spans: [t4 t6, {tokens: [5, 7], name: late}]"),
            "here: the explained spans 't4 t6' and 'late' share a token; give spans that do not overlap");
  EXPECT_EQ(text_of_error<ConfigError>([&] { set("spans: [{text: t4, side: source}]"); }),
            "e:1:9: a span of the source cannot be explained, since steps are of the target; leave 'side' out");
}

}  // namespace
}  // namespace whence::host
