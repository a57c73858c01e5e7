// Contexts whose cue is known by construction, on a real model: what has to be copied is what is cited.
#include <gtest/gtest.h>

#include <algorithm>

#include "host/context.h"
#include "host/model_loading.h"
#include "support/plugins.h"

namespace whence::host {
namespace {

const Model& real_model() {
  static const LoadedModel loaded =
      load_model(testing::built_plugins(), WHENCE_MODELS_DIR "/SmolLM2-135M-Instruct.Q4_1.gguf");
  return *loaded.model;
}

ContextAttribution attributed(const ContextInput& input, const ContextSpec& spec) {
  return attribute_context(real_model(), testing::built_plugins(), input, spec);
}

/// The names of units or tokens, the strongest cue first.
template <class Named>
std::vector<std::string> by_strength(const std::vector<Named>& named, const std::vector<float>& scores) {
  std::vector<std::size_t> order(scores.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::ranges::stable_sort(order, std::greater(), [&](std::size_t i) { return std::abs(scores[i]); });
  std::vector<std::string> names;
  for (const std::size_t i : order) {
    if constexpr (std::is_same_v<Named, ContextUnit>)
      names.push_back(named[i].name);
    else
      names.push_back(named[i]);
  }
  return names;
}

std::vector<std::string> units_by_strength(const ContextAttribution& result) {
  return by_strength(result.input_context->units, result.selected.at(0).input_cues->units);
}

ContextSpec compared_with_no_context() {
  ContextSpec spec;
  spec.attribution.attributed_function.name = "contrast_prob_diff";
  return spec;
}

struct Planted {
  std::string context, current, output;
  std::string token, sentence;  ///< what the output is copied from
};

const std::vector<Planted>& planted_texts() {
  static const std::vector<Planted> texts{
      {"The password is swordfish. The weather is nice today. Anna has a red car.",
       "Everybody knows that the password is", "swordfish.", "fish", "The password is swordfish."},
      {"The keys are in the kitchen. The shoes are in the garage. The book is on the table.",
       "I am looking for my shoes. The shoes are in the", "garage", "Ġgarage", "The shoes are in the garage."},
      {"The train to Oxford leaves at noon. The bus to Bristol leaves at midnight. The shop sells bread.",
       "When does the bus to Bristol leave? The bus to Bristol leaves at", "midnight.", "Ġmidnight",
       "The bus to Bristol leaves at midnight."}};
  return texts;
}

ContextInput input_of(const Planted& planted) {
  ContextInput input;
  input.input_context = planted.context;
  input.input_current = planted.current;
  input.output_current = planted.output;
  return input;
}

TEST(PlantedCue, ACopiedWordAndItsSentenceAreTheTopCues) {
  for (const Planted& planted : planted_texts())
    for (const char* function : {"probability", "contrast_prob_diff"})
      for (const char* metric : {"kl_divergence", "contrast_prob_diff"}) {
        ContextSpec spec;
        spec.attribution.attributed_function.name = function;
        spec.sensitivity.name = metric;
        spec.sensitive = {.std_weight = 0, .top_k = 1};
        spec.cue_units = UnitKind::sentence;
        spec.unit_score = UnitScore::absmax;
        const ContextAttribution result = attributed(input_of(planted), spec);
        ASSERT_EQ(result.selected.size(), 1u) << metric;
        EXPECT_EQ(result.selected[0].token, planted.token) << metric;
        EXPECT_EQ(by_strength(result.input_context->tokens, result.selected[0].input_cues->tokens).front(),
                  planted.token)
            << function;
        EXPECT_EQ(units_by_strength(result).front(), planted.sentence) << function;
      }
}

TEST(PlantedCue, TheSentenceThatCannotBeLeftOutIsTheTopCue) {
  const Planted& planted = planted_texts().back();
  ContextSpec spec;
  spec.sensitive = {.std_weight = 0, .top_k = 1};
  spec.attribution.method =
      testing::choice("leave_one_out", {{"units", testing::text("sentence")}, {"removal", testing::text("delete")}});
  spec.cue_units = UnitKind::sentence;
  spec.unit_score = UnitScore::absmax;
  const ContextAttribution result = attributed(input_of(planted), spec);
  EXPECT_EQ(units_by_strength(result).front(), planted.sentence);
  EXPECT_GT(std::ranges::max(result.selected.at(0).input_cues->units), 0);
}

TEST(PlantedCue, TheDocumentThatAnswersIsTheTopCue) {
  ContextInput input;
  input.documents = {{"Village", "The village lies in a wide valley. Most of the houses are built of wood."},
                     {"Anna", "Anna keeps twelve sheep behind her house. Her brother Tom is a baker."},
                     {"School", "The school was closed ten years ago."}};
  input.input_current = "Question: What is the job of Anna's brother?\nAnswer: Anna's brother is a";
  input.output_current = "baker.";
  ContextSpec spec = compared_with_no_context();
  spec.input_template = ContextTemplate{"{context}\n{current}", {}};
  spec.sensitive = {.std_weight = 0, .top_k = 1};
  const ContextAttribution result = attributed(input, spec);
  EXPECT_EQ(result.selected.at(0).token, "Ġbaker");
  EXPECT_EQ(units_by_strength(result).front(), "Anna");
}

TEST(PlantedCue, AnOutputContextIsCitedToo) {
  ContextInput input;
  input.input_current = "Anna and Tom talk about their pets.";
  input.output_context = "Anna has a parrot that is called Coco. Tom has a dog.";
  input.output_current = "The parrot is called Coco.";
  ContextSpec spec = compared_with_no_context();
  spec.sensitive.top_k = 1;
  spec.cue_units = UnitKind::sentence;
  const ContextAttribution result = attributed(input, spec);
  EXPECT_EQ(by_strength(result.output_context->units, result.selected.at(0).output_cues->units).front(),
            "Anna has a parrot that is called Coco.");
  EXPECT_FALSE(result.selected[0].input_cues);
}

TEST(PlantedCue, WithoutContextNoTokenDependsOnIt) {
  ContextInput input;
  input.input_current = "The capital of France is";
  input.output_current = "Paris.";
  const ContextAttribution result = attributed(input, {});
  ASSERT_FALSE(result.sensitivities.empty());
  for (const float sensitivity : result.sensitivities) EXPECT_EQ(sensitivity, 0);
  EXPECT_TRUE(result.selected.empty());
}

TEST(PlantedCue, AnIrrelevantContextMattersLess) {
  ContextInput input;
  input.input_current = "The capital of France is";
  input.output_current = "Paris.";
  const auto strongest = [&](const char* context) {
    input.input_context = context;
    return std::ranges::max(attributed(input, {}).sensitivities);
  };
  EXPECT_LT(strongest("It rained a little in the morning."),
            strongest("In this story the capital of France is London."));
}

}  // namespace
}  // namespace whence::host
