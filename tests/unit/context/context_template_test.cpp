#include "host/context_template.h"

#include <gtest/gtest.h>

#include "host/context.h"
#include "support/plugins.h"
#include "support/text_of_error.h"

namespace whence::host {
namespace {

using testing::text_of_error;

const Mark kHere{"--input-template", 0, 0};

std::string refusal(const std::string& text) {
  return text_of_error<ConfigError>([&] { ParsedTemplate({text, kHere}, "input template"); });
}

TEST(ContextTemplate, PutsTextsInAndSaysWhere) {
  const FilledText filled = ParsedTemplate({"<{{{context}}}> é {current}!", {}}, "t").filled("C", "it {is}");
  EXPECT_EQ(filled.text, "<{C}> é it {is}!");
  EXPECT_EQ(filled.text.substr(filled.context->start, filled.context->size()), "C");
  EXPECT_EQ(filled.text.substr(filled.current.start, filled.current.size()), "it {is}");
  const FilledText without = ParsedTemplate({"Q: {current}", {}}, "t").filled("unused", "x");
  EXPECT_EQ(without.text, "Q: x");
  EXPECT_FALSE(without.context);
}

TEST(ContextTemplate, BadOnesAreRefused) {
  EXPECT_EQ(refusal("no place"),
            "--input-template: the input template 'no place' has no {current}; expected it where the current text "
            "goes");
  EXPECT_EQ(refusal("{currnt}"),
            "--input-template: unknown placeholder of the input template '{currnt}' 'currnt'; did you mean 'current'? "
            "known: context, current");
  EXPECT_EQ(refusal("{current:>5}").substr(0, 50),
            std::string("--input-template: unknown placeholder of the input template").substr(0, 50));
  EXPECT_EQ(refusal("{current} {current}"),
            "--input-template: the input template '{current} {current}' has {current} twice; tokens are attributed to "
            "one of them, so keep one");
  EXPECT_EQ(refusal("{current} }"),
            "--input-template: the input template '{current} }' has a '}' that stands alone; write it twice for a "
            "brace");
  EXPECT_EQ(refusal("{current} {"),
            "--input-template: the input template '{current} {' has a '{' that stands alone; write it twice for a "
            "brace");
}

/// A text that can be attributed, and how.
class ContextCheck : public ::testing::Test {
 protected:
  ContextInput input;
  ContextSpec spec;
  std::vector<std::string> warnings;

  void SetUp() override {
    input.input_current = "asked him";
    input.input_context = "He was sick.";
    input.output_current = "to come";
  }
  std::string check(bool can_ask = false) {
    return text_of_error<Error>([&] {
      check_context(testing::built_plugins().catalogue(), input, spec, can_ask,
                    [&](const std::string& text) { warnings.push_back(text); });
    });
  }
  void put_output_template(const std::string& text) { spec.output_template = ContextTemplate{text, {}}; }
};

constexpr char kFine[] = "nothing was thrown";

TEST_F(ContextCheck, DefaultsFollowTheContexts) {
  EXPECT_EQ(check(), kFine);
  EXPECT_EQ(parse_templates(input, spec).input.given().text, "{context} {current}");
  EXPECT_EQ(parse_templates(input, spec).output.given().text, "{current}");
  input.output_context = "";
  EXPECT_EQ(check(), kFine);
  EXPECT_EQ(parse_templates(input, spec).output.given().text, "{context} {current}");
  EXPECT_TRUE(warnings.empty());
}

TEST_F(ContextCheck, ContextsThatAreMissing) {
  input.input_context.reset();
  spec.input_template = ContextTemplate{"{context} {current}", kHere};
  EXPECT_EQ(check(),
            "--input-template: the input template '{context} {current}' has {context}, but no input context "
            "(input_context_text) is given; give one that is not empty, or leave {context} out");
  spec.input_template.reset();
  put_output_template("{context} {current}");
  EXPECT_EQ(check(),
            "the output template '{context} {current}' has {context}, but no output context (output_context_text) is "
            "given, and nobody can be asked for it here; give it, or choose the strategy 'auto'");
  EXPECT_EQ(check(/*can_ask=*/true), kFine);
  spec.output_context = OutputContextStrategy::given;
  EXPECT_EQ(check(true),
            "the output template '{context} {current}' has {context}, but no output context (output_context_text) is "
            "given, and the strategy 'pre' takes none but a given one; give it, or leave {context} out");
}

TEST_F(ContextCheck, ContextsThatAreLeftOutAreTold) {
  spec.input_template = ContextTemplate{"{current}", {}};
  put_output_template("{current}.");
  input.output_context = "So.";
  EXPECT_EQ(check(), kFine);
  EXPECT_EQ(warnings,
            (std::vector<std::string>{
                "the input context is left out, since the input template '{current}' has no {context}",
                "the output context is left out, since the output template '{current}.' has no {context}",
                "what the output template has behind {current}, '.', is no part of the output that is looked at"}));
}

TEST_F(ContextCheck, TemplatesOfTheOtherKind) {
  put_output_template("{current} {context}");
  EXPECT_EQ(check(),
            "the output template '{current} {context}' has {context} behind {current}; what context an output has "
            "comes before it, so expected {context} first");
  spec.output_template.reset();
  spec.contextless_output.text = "{context} {current}";
  EXPECT_EQ(check(),
            "the contextless template '{context} {current}' has {context}; it is what is read without one, so leave "
            "{context} out");
}

TEST_F(ContextCheck, TextsAndNumbers) {
  input.documents = {{"a", "text"}};
  EXPECT_EQ(check(),
            "input '0': both an input context and documents are given; documents make the input context, so keep one");
  input.input_context.reset();
  input.documents.push_back({"b", ""});
  EXPECT_EQ(check(), "input '0': document 2 of the input context is empty; leave it out");
  input.documents.pop_back();
  input.output_current = "";
  EXPECT_EQ(check(), "input '0': the current output (output_current_text) is empty; leave it out to have it generated");
  input.output_current.reset();
  input.input_current = "";
  EXPECT_EQ(check(),
            "input '0': the current input (input_current_text) is empty; expected the prompt, or what is to be "
            "translated");
  input.input_current = "x";
  spec.sensitive.top_k = 0;
  EXPECT_EQ(check(), "context_sensitivity_topk is 0; expected at least 1, or none to keep all");
  spec.sensitive.top_k.reset();
  spec.cues.std_weight = std::numeric_limits<double>::infinity();
  EXPECT_EQ(check(), "attribution_std_threshold is not a finite number; expected a count of standard deviations");
}

TEST_F(ContextCheck, ContextlessNextTokens) {
  input.contextless_next_tokens = {"go"};
  EXPECT_EQ(check(),
            "contextless next tokens have no effect, since the attributed function 'probability' compares a token "
            "with no other; choose one that does, such as contrast_prob_diff, or leave them out");
  spec.attribution.attributed_function.name = "contrast_prob_diff";
  EXPECT_EQ(check(), kFine);
  spec.ask_for_contextless_next_tokens = true;
  EXPECT_EQ(check(true),
            "input '0': contextless next tokens are given (contextless_output_next_tokens), and are to be asked for, "
            "too (prompt_user_for_contextless_output_next_tokens); keep one");
  input.contextless_next_tokens = {};
  EXPECT_EQ(check(),
            "input '0': contextless next tokens are to be asked for (prompt_user_for_contextless_output_next_tokens), "
            "but nobody can be asked here; give them as contextless_output_next_tokens, or leave both out");
  EXPECT_EQ(check(true), kFine);
}

TEST_F(ContextCheck, Plugins) {
  spec.sensitivity = {"kl_divergance", {}, {"--context-sensitivity-metric", 0, 0}};
  EXPECT_EQ(
      check().substr(0, 106),
      "--context-sensitivity-metric: unknown step_function 'kl_divergance'; did you mean 'kl_divergence'? known: ");
}

}  // namespace
}  // namespace whence::host
