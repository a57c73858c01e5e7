// `context:` of an experiment.
#include <gtest/gtest.h>

#include "host/context_value.h"
#include "host/run.h"
#include "host/yaml.h"
#include "support/plugins.h"
#include "support/text_of_error.h"

namespace whence::host {
namespace {

const std::string kRest = "model: /m.gguf\n";

Experiment parse(const std::string& text) { return parse_experiment(parse_yaml(text, "e.yaml"), "/base"); }
std::string error_of(const std::string& text) {
  return testing::text_of_error<Error>([&] { parse(kRest + text); });
}
std::string error_of_context(const std::string& context) { return error_of("context: {" + context + "}\n"); }

TEST(ExperimentContext, SmallestHasDefaults) {
  const Experiment experiment = parse(kRest + "context: {inputs: Who lives here}\n");
  ASSERT_TRUE(experiment.context);
  ASSERT_EQ(experiment.context_inputs.size(), 1u);
  EXPECT_EQ(experiment.context_inputs[0].id, "0");
  EXPECT_EQ(experiment.context_inputs[0].input_current, "Who lives here");
  EXPECT_FALSE(experiment.context_inputs[0].input_context);
  ContextSpec expected;
  expected.output_context = OutputContextStrategy::automatic;  // nobody can be asked
  EXPECT_EQ(*experiment.context, expected);
  EXPECT_TRUE(experiment.attributions.empty());
}

TEST(ExperimentContext, ReadsEveryKeyAndWritesItAgain) {
  const Experiment experiment = parse(kRest + R"(
context:
  inputs:
    - id: one
      current: Where does Tom live?
      documents: [{name: Letter, text: Tom lives in Berlin.}, Nothing is said here.]
      output_context: I know it.
      output_current: In Berlin.
      contextless_next_tokens: [Rome, Paris]
    - {current: b, context: c, src_lang: en_XX, tgt_lang: de_DE}
  input_template: "{context}\n{current}"
  output_template: "{context} {current}"
  contextless_input_template: "Q: {current}"
  contextless_output_template: "A: {current}"
  separator: "\n"
  special_tokens_to_keep: <brk>
  output_context_strategy: pre
  sensitivity: {metric: {contrast_prob_diff: {logprob: true}}, std: 0.5, top_k: 2, alignment: auto}
  attribution:
    method: integrated_gradients
    params: {n_steps: 8}
    attributed_function: contrast_prob_diff
    aggregation: [{scores: {function: mean}}]
    granularity: full
  cues: {std: 2, top_k: 3, units: sentence, unit_score: absmax, language: de}
  document_separator: " | "
)");
  const ContextSpec& spec = *experiment.context;
  EXPECT_EQ(experiment.context_inputs[0].documents[0], (ContextDocument{"Letter", "Tom lives in Berlin."}));
  EXPECT_EQ(experiment.context_inputs[0].documents[1], (ContextDocument{"", "Nothing is said here."}));
  EXPECT_EQ(experiment.context_inputs[0].contextless_next_tokens, (std::vector<std::string>{"Rome", "Paris"}));
  EXPECT_EQ(experiment.context_inputs[1].id, "1");
  EXPECT_EQ(experiment.context_inputs[1].tgt_lang, "de_DE");
  EXPECT_EQ(spec.input_template->text, "{context}\n{current}");
  EXPECT_EQ(spec.input_template->where.line, 12);
  EXPECT_EQ(spec.special_tokens_to_keep, std::vector<std::string>{"<brk>"});
  EXPECT_EQ(spec.output_context, OutputContextStrategy::given);
  EXPECT_EQ(spec.sensitivity.name, "contrast_prob_diff");
  EXPECT_EQ(spec.sensitive.top_k, 2);
  EXPECT_EQ(spec.alignment.way, AlignmentWay::tokens);
  EXPECT_EQ(spec.attribution.granularity, Granularity::full);
  EXPECT_EQ(spec.cues.std_weight, 2);
  EXPECT_EQ(spec.cue_units, UnitKind::sentence);
  EXPECT_EQ(spec.unit_score, UnitScore::absmax);
  EXPECT_EQ(spec.document_separator, " | ");
  const Experiment again = parse_experiment(parse_yaml(to_yaml(resolved(experiment)), "r.yaml"), "/base");
  EXPECT_EQ(*again.context, spec);
  EXPECT_EQ(again.context_inputs, experiment.context_inputs);
  EXPECT_EQ(to_yaml(resolved(again)), to_yaml(resolved(experiment)));
}

TEST(ExperimentContext, AlignmentsByAModelAreRelativeToTheExperiment) {
  const Experiment experiment = parse(kRest + "context: {inputs: a, sensitivity: {alignment: {model: ./labse}}}\n");
  EXPECT_EQ(experiment.context->alignment.model, "/base/labse");
}

TEST(ExperimentContext, StandsInPlaceOfAttributions) {
  for (const std::string key : {"attributions: saliency", "inputs: a", "system: a", "attribute_target: true",
                                "evaluation: {}", "contrast_target: a"})
    EXPECT_EQ(error_of(key + "\ncontext: {inputs: a}\n"),
              "e.yaml:2:1: '" + key.substr(0, key.find(':')) +
                  "' is of experiments with attributions, but 'context' is given; keep one, and say the rest under it");
}

TEST(ExperimentContext, NamesWhatIsWrong) {
  EXPECT_TRUE(error_of_context("current: a, inputs: b").starts_with("e.yaml:2:11: unknown key 'current'"));
  EXPECT_EQ(error_of_context("inputs: []"), "e.yaml:2:19: 'inputs' is empty; give at least one text");
  EXPECT_EQ(error_of_context("inputs: {current: a, context: b, documents: c}"),
            "e.yaml:2:44: 'context' and 'documents' are given; keep one, since both are the context");
  EXPECT_EQ(error_of_context("inputs: {current: a, documents: []}"),
            "e.yaml:2:43: 'documents' is empty; give at least one, or leave it out");
  EXPECT_EQ(error_of_context("inputs: [{id: a, current: b}, {id: a, current: c}]"),
            "e.yaml:2:41: two inputs have the id 'a'; ids name the results, so each needs its own");
  EXPECT_NE(error_of_context("inputs: {id: a/b, current: b}").find("'id' is 'a/b'; it names files"), std::string::npos);
  EXPECT_EQ(error_of_context("inputs: a, sensitivity: {std: .inf}"),
            "e.yaml:2:41: 'std' is no finite number; expected a number of standard deviations, such as 1");
  EXPECT_EQ(error_of_context("inputs: a, cues: {top_k: 0}"), "e.yaml:2:36: 'top_k' is 0; expected at least 1");
  EXPECT_NE(
      error_of_context("inputs: a, cues: {units: sentences}").find("unknown kind of unit 'sentences'; did you mean"),
      std::string::npos);
  EXPECT_NE(error_of_context("inputs: a, output_context_strategy: ask").find("'ask'"), std::string::npos);
  EXPECT_NE(error_of_context("inputs: a, attribution: {method: saliency, step_scores: entropy}")
                .find("unknown key 'step_scores'"),
            std::string::npos);
}

TEST(ExperimentContext, IsCheckedBeforeAModelIsRead) {
  const auto check = [](const std::string& context) {
    const Experiment experiment = parse(kRest + "context: {" + context + "}\n");
    return testing::text_of_error<Error>([&] { check_experiment(testing::built_plugins().catalogue(), experiment); });
  };
  EXPECT_EQ(check("inputs: {current: a, context: b}"), "nothing was thrown");
  EXPECT_NE(check("inputs: a, sensitivity: {metric: kl}").find("unknown step_function 'kl'"), std::string::npos);
  EXPECT_NE(check("inputs: a, input_template: '{context} {current}'").find("no input context"), std::string::npos);
  EXPECT_NE(check("inputs: {current: a, context: b}, attribution: saliencies").find("did you mean 'saliency'?"),
            std::string::npos);
}

}  // namespace
}  // namespace whence::host
