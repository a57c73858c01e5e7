#include "case_models.h"
#include "choices.h"
#include "compare.h"
#include "coverage.h"
#include "host/aggregation.h"
#include "host/attribute.h"
#include "support/plugins.h"

namespace whence::parity {
namespace {

bool same_texts(const Case& a, const Case& b) {
  return a.model == b.model && a.at("input_text") == b.at("input_text") &&
         a.at("generated_text") == b.at("generated_text") && a.at("attribute_kwargs") == b.at("attribute_kwargs");
}

/// What the reference attributed before it aggregated, as other cases store it: the attributions of the same method,
/// the step scores of whatever was asked for the same texts.
SequenceAttribution raw_attribution(const Case& aggregate) {
  SequenceAttribution raw;
  for (const Case& one : all_cases())
    if (one.kind == "attribute" && same_texts(one, aggregate) && one.method == aggregate.method &&
        one.at("method_kwargs").empty() && one.attributed_function() == aggregate.attributed_function() &&
        one.at("attribute_target") == aggregate.at("attribute_target"))
      raw = to_sequence(load_expected(one), one.method);
  for (const std::string& name : aggregate.step_scores()) {
    for (const Case& one : all_cases())
      if (one.kind == "attribute" && same_texts(one, aggregate) && !raw.step_scores.contains(name)) {
        const auto scores = one.step_scores();
        if (std::find(scores.begin(), scores.end(), name) != scores.end())
          raw.step_scores[name] = to_tensor(load_expected(one).at("step_scores").at(name));
      }
    const auto& plugin = testing::built_plugins().catalogue().find(host::PluginKind::step_function, name);
    raw.step_score_merges[name] = plugin.declaration.at("merge").as_string();
  }
  return raw;
}

/// A token that is a span by itself has the id -1 in the reference, and keeps its own here.
void keep_single_ids(std::vector<Token>& expected, const std::vector<Token>& raw) {
  for (Token& token : expected)
    for (const Token& single : raw)
      if (token.id == -1 && token.text == single.text) token.id = single.id;
}

/// What a pair is made with is stored nowhere, so it is attributed here.
AttributionOutput paired_attribution(const Case& aggregate) {
  Case other = aggregate;
  for (const auto& [key, text] : aggregate.at("aggregate").at("paired").items()) other.data[key] = text;
  const Model& subject = model(other.model);
  host::AttributeOptions options;
  options.attribute_target = other.at("attribute_target") == true;
  return host::attribute(subject, testing::built_plugins(),
                         host::prepare_sequences(subject, input_texts(other), generation_config(other)),
                         attribution_spec(other), options);
}

/// The chain of a case. `first: default` stands for the default chain of either side.
std::optional<std::vector<host::Choice>> whole_chain(const Case& one, const AttributionOutput& raw) {
  auto chain = aggregation_chain(one);
  if (!one.at("aggregate").contains("first")) return chain;
  std::vector<host::Choice> whole = host::default_aggregation(raw);
  whole.insert(whole.end(), chain->begin(), chain->end());
  return whole;
}

class AggregateParity : public ::testing::TestWithParam<Case> {};

TEST_P(AggregateParity, ReproducesTheReference) {
  const Case& one = GetParam();
  const Tolerance tolerance(one);
  SequenceAttribution expected = to_sequence(load_expected(one), one.method);
  AttributionOutput raw;
  raw.sequences.push_back(raw_attribution(one));
  std::erase_if(raw.sequences[0].step_scores, [&](const auto& score) {
    const auto asked = one.step_scores();
    return std::find(asked.begin(), asked.end(), score.first) == asked.end();
  });
  if (const auto names = aggregator_names(one); !names.empty() && names.back() == "split") {
    keep_single_ids(expected.source, raw.sequences[0].source);
    keep_single_ids(expected.target, raw.sequences[0].target);
  }
  ASSERT_FALSE(raw.sequences[0].target.empty()) << "no other case stores the attributions";

  const auto find = [&](const std::string&) { return paired_attribution(one); };
  const SequenceAttribution got =
      host::aggregated(testing::built_plugins(), raw, whole_chain(one, raw), find).sequences.at(0);
  expect_same_tokens(got, expected);
  EXPECT_TRUE(agrees_relative(got.source_attributions, expected.source_attributions, tolerance)) << "source";
  EXPECT_TRUE(agrees_relative(got.target_attributions, expected.target_attributions, tolerance)) << "target";
  expect_step_scores(got, expected, one.step_scores(), tolerance);
  EXPECT_EQ(got.sequence_scores.size(), expected.sequence_scores.size());
  for (const auto& [name, scores] : expected.sequence_scores) {
    ASSERT_TRUE(got.sequence_scores.contains(name)) << name;
    EXPECT_TRUE(agrees_relative(got.sequence_scores.at(name), scores, tolerance)) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, AggregateParity, ::testing::ValuesIn(cases_to_aggregate()),
                         [](const auto& info) { return test_name(info.param.id); });

}  // namespace
}  // namespace whence::parity
