// What is said of contrasts before a model is read, and what results hold of them.
#include <gtest/gtest.h>

#include "host/attribute.h"
#include "host/contrast.h"
#include "host/yaml.h"
#include "support/fake_model.h"
#include "support/plugins.h"
#include "support/text_of_error.h"

namespace whence::host {
namespace {

using testing::FakeModel;
using testing::text_of_error;

Experiment parse(const std::string& input, const std::string& attributions, const std::string& more = "") {
  const std::string text = "model: /m\ninputs:\n  - {" + input + "}\n" + more + "attributions: " + attributions + "\n";
  return parse_experiment(parse_yaml(text, "e.yaml"), "/base");
}

std::string check(const std::string& input, const std::string& attributions, const std::string& more = "") {
  return text_of_error<Error>(
      [&] { check_contrasts(testing::built_plugins().catalogue(), parse("text: a, " + input, attributions, more)); });
}

TEST(CheckContrasts, AcceptsWhatFits) {
  const std::string fine = "nothing was thrown";
  EXPECT_EQ(check("id: a", "saliency"), fine);
  EXPECT_EQ(check("contrast_target: b", "{method: saliency, attributed_function: contrast_prob_diff}"), fine);
  EXPECT_EQ(check("contrast_target: b", "[saliency, {name: two, method: saliency, step_scores: pcxmi}]"), fine);
  EXPECT_EQ(check("contrast_source: b", "{method: saliency, step_scores: pcxmi}"), fine);
  EXPECT_EQ(
      check("contrast_source: b", "{method: saliency, attributed_function: {pcxmi: {contrast_force_inputs: true}}}"),
      fine);
}

TEST(CheckContrasts, NamesWhatHasNoEffectOrIsMissing) {
  EXPECT_EQ(check("id: a", "{method: saliency, attributed_function: contrast_prob_diff}"),
            "e.yaml:4:55: the step function 'contrast_prob_diff' compares each text with another, but input 'a' names "
            "none; give it contrast_target or contrast_source");
  EXPECT_EQ(check("contrast_target: b", "saliency"),
            "e.yaml:3:15: input '0': no step function of the experiment looks at its contrast; choose one that does, "
            "such as contrast_prob_diff, or leave it out");
  EXPECT_EQ(check("contrast_target: b", "{method: attention, attributed_function: contrast_prob_diff}"),
            "e.yaml:3:15: input '0': no step function of the experiment looks at its contrast; choose one that does, "
            "such as contrast_prob_diff, or leave it out")
      << "attention explains no score";
  EXPECT_EQ(check("contrast_alignment: auto", "{method: saliency, step_scores: pcxmi}"),
            "e.yaml:3:15: input '0': contrast_alignment has no effect without a contrast_target; give one");
  EXPECT_EQ(check("contrast_source: b", "{method: saliency, attributed_function: pcxmi}"),
            "e.yaml:4:55: the attributed function 'pcxmi' looks up other tokens in the text itself, but input '0' has "
            "none, only a contrast_source; set contrast_force_inputs: true, or give a contrast_target");
  EXPECT_EQ(
      check("contrast_target: b", "{method: saliency, step_scores: pcxmi}", "  - {text: b, contrast_source: c}\n"),
      "e.yaml:4:15: input '1' and input '0' are compared on different sides; give a contrast_target, a "
      "contrast_source or both for all");
  const std::string no_aligner =
      check("contrast_target: b, contrast_alignment: {model: none/here}", "{method: saliency, step_scores: pcxmi}");
  EXPECT_TRUE(no_aligner.starts_with("e.yaml:3:63: /base/none/here: no such file or directory;")) << no_aligner;
}

TEST(ContrastResult, HoldsLabelsTextsAndPairs) {
  const FakeModel model;

  const std::string spec =
      "{method: saliency, attributed_function: {contrast_prob_diff: {logprob: true}}, step_scores: contrast_prob}";
  const Experiment all =
      parse("text: t3 t7, generated: t3 t7 t2 t9, contrast_target: t3 t7 t5 t9, contrast_alignment: auto", spec);
  const auto texts = prepare_sequences(model, all.inputs, {});
  const AttributionOutput output = attribute(model, testing::built_plugins(), texts, all.attributions.front());
  EXPECT_EQ(output.sequences[0].target[1], (Token{"t7", 7}));
  EXPECT_EQ(output.sequences[0].target[2], (Token{"t5 → t2", -1}));
  EXPECT_EQ(output.sequences[0].target[3], (Token{"t9", 9}));
  const Value info(output.info);
  for (const char* args : {"attributed_fn_args", "step_scores_args"}) {
    SCOPED_TRACE(args);
    EXPECT_EQ(info.at(args).at("contrast_targets"), Value(Value::List{Value(std::string("t3 t7 t5 t9"))}));
    EXPECT_EQ(info.at(args).at("contrast_targets_alignments"), parse_yaml("[[[2, 2], [3, 3]]]", ""));
    EXPECT_EQ(info.at(args).find("contrast_sources"), nullptr);
  }
  EXPECT_EQ(info.at("attributed_fn_args").at("logprob"), Value(true));

  const AttributionOutput plain =
      attribute(model, testing::built_plugins(), texts, parse("text: a", "saliency").attributions.front());
  EXPECT_EQ(plain.sequences[0].target[2], (Token{"t2", 2})) << "saliency of the probability compares nothing";
  EXPECT_EQ(Value(plain.info).at("attributed_fn_args").find("contrast_targets"), nullptr);
}

}  // namespace
}  // namespace whence::host
