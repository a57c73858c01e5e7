// Context attributions against what they are made of: passes and attributions of single texts.
#include "host/context.h"

#include <ATen/ops/log_softmax.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "context/context_models.h"
#include "host/aggregation.h"
#include "host/encode_input.h"
#include "support/text_of_error.h"

namespace whence::host {
namespace {

using testing::built_plugins;
using testing::choice;
using testing::text_of_error;
using testing::tiny_model;

class ContextTest : public ::testing::TestWithParam<std::string> {
 protected:
  ContextInput input;
  ContextSpec spec;
  GenerationConfig generation;
  ContextOptions options;
  std::vector<std::string> notices;

  void SetUp() override {
    input.input_current = "They asked him.";
    input.input_context = "He was sick.";
    input.output_context = "It was late.";
    input.output_current = "He was at the house.";
    spec.sensitive.std_weight = -9;  // every token
    spec.separator = "\n";
    options.listener.notice = [this](const std::string& text) { notices.push_back(text); };
  }

  static const Model& model() { return tiny_model(GetParam()); }
  static bool has_source() { return model().info().kind == ModelKind::encoder_decoder; }
  ContextAttribution attributed() const {
    return attribute_context(model(), built_plugins(), input, spec, generation, options);
  }
  const Tokenizer& target_tokenizer() const { return model().tokenizer().on(Side::target); }

  /// Ids of a source (empty) and a target as the model reads them.
  static std::pair<TokenIds, TokenIds> ids(const std::string& source, const std::string& target) {
    if (!has_source()) return {{}, model().tokenizer().encode(source + "\n" + target).ids};
    TokenIds written = decoder_start(model());
    const TokenIds text = model().tokenizer().on(Side::target).encode(target, {.add_special_tokens = false}).ids;
    written.insert(written.end(), text.begin(), text.end());
    return {model().tokenizer().on(Side::source).encode(source).ids, written};
  }
};

PaddedIds one_row(const TokenIds& ids) { return {at::tensor(ids).unsqueeze(0), at::tensor({std::ssize(ids)})}; }

TEST_P(ContextTest, SensitivityIsTheDivergenceOfTwoPasses) {
  const ContextAttribution result = attributed();
  const auto with = ids("He was sick. They asked him.", "It was late. He was at the house.");
  const auto without = ids("They asked him.", "He was at the house.");
  const auto log_probabilities = [&](const std::pair<TokenIds, TokenIds>& text) {
    Inputs inputs{.target = one_row(text.second)};
    if (has_source()) inputs.source = one_row(text.first);
    const std::int64_t length = std::ssize(text.second);
    std::vector<std::int64_t> positions;  // those that predict the last tokens
    for (std::int64_t i = length - std::ssize(result.output_tokens); i < length; ++i) positions.push_back(i - 1);
    return at::log_softmax(
        model().forward(inputs, {.positions = at::tensor(positions).unsqueeze(0)}).logits.select(0, 0), -1);
  };
  const Tensor p = log_probabilities(without), q = log_probabilities(with);
  const Tensor expected = (p.exp() * (p - q)).sum(-1);
  ASSERT_EQ(std::ssize(result.sensitivities), expected.size(0));
  for (std::size_t i = 0; i < result.sensitivities.size(); ++i)
    EXPECT_NEAR(result.sensitivities[i], expected[static_cast<std::int64_t>(i)].item<float>(), 1e-4);
}

TEST_P(ContextTest, OtherMetricsAreOfTheTextWithContext) {
  spec.sensitivity = choice("entropy");
  const ContextAttribution result = attributed();
  const auto with = ids("He was sick. They asked him.", "It was late. He was at the house.");
  InputText text;
  text.id = "0";
  PreparedText prepared;
  prepared.sequence.source = tokens_of(model().tokenizer().on(Side::source), with.first);
  prepared.sequence.target = tokens_of(target_tokenizer(), with.second);
  const auto length = std::ssize(with.second);
  prepared.sequence.steps = {length - std::ssize(result.output_tokens), length};
  AttributionSpec recorded = spec.attribution;
  recorded.step_scores = {choice("entropy")};
  const AttributionOutput output = attribute(model(), built_plugins(), {prepared}, recorded);
  const Tensor expected = output.sequences.front().step_scores.at("entropy");
  for (std::size_t i = 0; i < result.sensitivities.size(); ++i)
    EXPECT_NEAR(result.sensitivities[i], expected[static_cast<std::int64_t>(i)].item<float>(), 1e-5);
}

TEST_P(ContextTest, CuesAreTheColumnsOfAnAttributionOfTheWholeText) {
  const std::vector<std::pair<const char*, std::vector<Choice>>> methods{
      {"saliency", {choice("vnorm", {{"normalize", Value(false)}})}}, {"occlusion", {}}};
  for (const auto& [method, chain] : methods) {
    SCOPED_TRACE(method);
    spec.attribution.method = choice(method);
    const ContextAttribution result = attributed();
    ASSERT_EQ(result.selected.size(), result.output_tokens.size());
    const auto with = ids("He was sick. They asked him.", "It was late. He was at the house.");
    PreparedText prepared;
    prepared.sequence.id = "0";
    prepared.sequence.source = tokens_of(model().tokenizer().on(Side::source), with.first);
    prepared.sequence.target = tokens_of(target_tokenizer(), with.second);
    const auto length = std::ssize(with.second);
    prepared.sequence.steps = {length - std::ssize(result.output_tokens), length};
    const AttributionOutput raw =
        attribute(model(), built_plugins(), {prepared}, spec.attribution, {.attribute_target = has_source()});
    const AttributionOutput output = aggregated(built_plugins(), raw, chain);
    const SequenceAttribution& whole = output.sequences.front();
    const bool bos = !has_source() && model().tokenizer().encode("a").special.front();
    for (const ContextSensitiveToken& token : result.selected) {
      const Tensor& inputs = has_source() ? whole.source_attributions : whole.target_attributions;
      for (std::size_t i = 0; i < result.input_context->tokens.size(); ++i) {
        const auto row = static_cast<std::int64_t>(i) + bos;
        EXPECT_NEAR(token.input_cues->tokens[i], inputs[row][token.index].item<float>(), 1e-5);
      }
      // Behind the input and its separator, or behind the token that a decoder starts from.
      const auto start =
          has_source() ? 1 : std::ssize(model().tokenizer().encode("He was sick. They asked him.\n").ids);
      for (std::size_t i = 0; i < result.output_context->tokens.size(); ++i)
        EXPECT_NEAR(token.output_cues->tokens[i],
                    whole.target_attributions[start + static_cast<std::ptrdiff_t>(i)][token.index].item<float>(), 1e-5);
    }
  }
}

TEST_P(ContextTest, DoesNotDependOnTheBatch) {
  spec.attribution.attributed_function = choice("contrast_prob_diff");
  const ContextAttribution many = attributed();
  options.batch_size = 1;
  const ContextAttribution one = attributed();
  ASSERT_EQ(one.selected.size(), many.selected.size());
  for (std::size_t i = 0; i < one.selected.size(); ++i) {
    EXPECT_EQ(one.selected[i].index, many.selected[i].index);
    EXPECT_EQ(one.selected[i].contrast_token, many.selected[i].contrast_token);
    for (std::size_t t = 0; t < one.selected[i].input_cues->tokens.size(); ++t)
      EXPECT_NEAR(one.selected[i].input_cues->tokens[t], many.selected[i].input_cues->tokens[t], 1e-5);
  }
}

TEST_P(ContextTest, ContextlessTokensAreTheLikeliestWithoutContext) {
  spec.attribution.attributed_function = choice("contrast_logits_diff");
  const ContextAttribution result = attributed();
  const auto without = ids("They asked him.", "He was at the house.");
  const std::int64_t first = std::ssize(without.second) - std::ssize(result.output_tokens);
  for (const ContextSensitiveToken& token : result.selected) {
    Inputs inputs{.target = one_row(without.second)};
    if (has_source()) inputs.source = one_row(without.first);
    const Tensor logits =
        model().forward(inputs, {.positions = at::tensor({first + token.index - 1}).unsqueeze(0)}).logits;
    EXPECT_EQ(token.contrast_token, target_tokenizer().token(logits.argmax().item<std::int64_t>()));
  }
}

TEST_P(ContextTest, GivenWordsAreTheContrast) {
  spec.attribution.attributed_function = choice("contrast_logits_diff");
  spec.sensitive.top_k = 1;
  input.contextless_next_tokens = {"doctor", "nurse"};
  EXPECT_NE(text_of_error<InputError>([&] {
              attributed();
            }).find("input '0': contextless_output_next_tokens has 2 word(s), but 1 token(s) depend on context: '"),
            std::string::npos);
  input.contextless_next_tokens = {"doctor"};
  const ContextAttribution given = attributed();
  std::vector<std::string> questions;
  input.contextless_next_tokens = {};
  spec.ask_for_contextless_next_tokens = true;
  options.ask = [&](const std::string& question) {
    questions.push_back(question);
    return std::optional<std::string>(" doctor\n");
  };
  const ContextAttribution asked = attributed();
  EXPECT_EQ(questions.size(), 1U);
  EXPECT_EQ(asked.selected.at(0).contrast_token, given.selected.at(0).contrast_token);
  EXPECT_EQ(asked.selected[0].input_cues->tokens, given.selected[0].input_cues->tokens);
  options.ask = [](const std::string&) { return std::nullopt; };
  EXPECT_EQ(text_of_error<InputError>([&] { attributed(); }),
            "input '0': nobody says which word comes next without context; give 1 as contextless_output_next_tokens");
}

TEST_P(ContextTest, WithoutContextNothingIsSelected) {
  input.input_context.reset();
  input.output_context.reset();
  spec.sensitive.std_weight = 0;
  const ContextAttribution result = attributed();
  for (const float score : result.sensitivities) EXPECT_EQ(score, 0);
  EXPECT_TRUE(result.selected.empty());
  EXPECT_FALSE(result.input_context || result.output_context);
  ASSERT_EQ(notices.size(), 1U);
  EXPECT_TRUE(notices[0].starts_with("input '0': no token of the output depends on context")) << notices[0];
}

TEST_P(ContextTest, DocumentsAndSentencesAreCited) {
  input.input_context.reset();
  input.documents = {{"one", "He was sick."}, {"", "She was at the house."}};
  const ContextAttribution result = attributed();
  const std::vector<ContextUnit>& units = result.input_context->units;
  ASSERT_EQ(units.size(), 2U);
  EXPECT_EQ(units[0].name, "one");
  EXPECT_EQ(units[1].name, "2");
  EXPECT_EQ(result.input_context->tokens.at(units[1].tokens.end - 1), ".");
  EXPECT_EQ(units[1].tokens.end, std::ssize(result.input_context->tokens));
  EXPECT_TRUE(result.output_context->units.empty());
  for (const ContextSensitiveToken& token : result.selected) {
    double sum = 0;
    for (std::int64_t i = units[1].tokens.start; i < units[1].tokens.end; ++i) sum += token.input_cues->tokens.at(i);
    EXPECT_NEAR(token.input_cues->units.at(1), sum, 1e-5);
  }
  spec.cue_units = UnitKind::sentence;
  spec.unit_score = UnitScore::absmax;
  const ContextAttribution sentences = attributed();
  ASSERT_EQ(sentences.input_context->units.size(), 2U);
  EXPECT_EQ(sentences.input_context->units[1].name, "She was at the house.");
  EXPECT_EQ(sentences.output_context->units.at(0).name, "It was late.");
  const ContextSensitiveToken& token = sentences.selected.front();
  EXPECT_EQ(token.output_cues->units.at(0), *std::ranges::max_element(token.output_cues->tokens));
}

struct Cancelled : std::runtime_error {
  using std::runtime_error::runtime_error;
};

TEST_P(ContextTest, ProgressMayCancel) {
  spec.attribution.attributed_function = choice("contrast_prob_diff");
  std::vector<std::string> phases;
  std::string cancelled;
  options.listener.phase = [&](const std::string& label) -> Progress {
    phases.push_back(label);
    return [&, label](std::int64_t, std::int64_t) {
      if (label == cancelled) throw Cancelled("enough of " + label);
    };
  };
  attributed();
  EXPECT_EQ(phases, (std::vector<std::string>{"sensitivity", "contextless outputs", "cues"}));
  for (const std::string phase : {"sensitivity", "contextless outputs", "cues"}) {
    cancelled = phase;
    EXPECT_EQ(text_of_error<Cancelled>([&] { attributed(); }), "enough of " + phase);
  }
}

TEST_P(ContextTest, AggregatorsThatMergeTokensAreRefused) {
  spec.attribution.aggregation = std::vector<Choice>{choice("vnorm"), choice("subwords")};
  EXPECT_NE(text_of_error<ConfigError>([&] {
              attributed();
            }).find("method 'saliency': after aggregation there is not one score for each token of the context"),
            std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Models, ContextTest, ::testing::Values("gpt2", "llama", "t5"));

}  // namespace
}  // namespace whence::host
