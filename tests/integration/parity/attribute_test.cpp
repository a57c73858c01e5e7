#include "host/attribute.h"

#include <ATen/ops/index_select.h>
#include <ATen/ops/isnan.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/tensor.h>

#include "case_models.h"
#include "choices.h"
#include "compare.h"
#include "coverage.h"
#include "host/aggregation.h"
#include "support/plugins.h"

namespace whence::parity {
namespace {

const host::PluginHost& plugins() { return testing::built_plugins(); }

Tensor selected(const Tensor& values, std::int64_t dim, const json& indices) {
  return values.index_select(dim, at::tensor(indices.get<std::vector<std::int64_t>>(), at::kLong));
}

/// Of the real model only reductions and a choice of dimensions are stored.
void expect_reduced(const Tensor& got, const json& reduced, const Tolerance& tolerance) {
  const auto expect = [&](const char* key, const Tensor& values) {
    EXPECT_TRUE(agrees_relative(values, to_tensor(reduced.at(key)), tolerance)) << key;
  };
  if (reduced.contains("target_vnorm")) expect("target_vnorm", at::linalg_vector_norm(got, 2, -1));
  if (reduced.contains("target_sum")) expect("target_sum", got.sum(-1));
  if (reduced.contains("target_dims")) expect("target_dims", selected(got, -1, reduced.at("dims")));
  if (reduced.contains("target_layers")) expect("target_layers", selected(got, 2, reduced.at("layers")));
}

void expect_sequence(const SequenceAttribution& got, const SequenceAttribution& default_aggregated, const json& stored,
                     const Case& one) {
  const Tolerance tolerance(one);
  const SequenceAttribution expected = to_sequence(stored, one.method);
  expect_same_tokens(got, expected);
  if (stored.contains("reduced")) {
    expect_reduced(got.target_attributions, stored.at("reduced"), tolerance);
  } else {
    EXPECT_TRUE(agrees_relative(got.source_attributions, expected.source_attributions, tolerance)) << "source";
    EXPECT_TRUE(agrees_relative(got.target_attributions, expected.target_attributions, tolerance)) << "target";
  }
  std::vector<std::string> scores = known_step_scores(one);
  if (expected.step_scores.contains("deltas")) scores.push_back("deltas");
  expect_step_scores(got, expected, scores, tolerance);
  const std::vector<std::string> own = own_step_scores(one);
  scores.insert(scores.end(), own.begin(), own.end());
  std::ranges::sort(scores);
  std::vector<std::string> names;
  for (const auto& [name, _] : got.step_scores) names.push_back(name);
  EXPECT_EQ(names, scores);
  EXPECT_EQ(got.sequence_scores.size(), expected.sequence_scores.size());
  for (const auto& [name, scores] : expected.sequence_scores) {
    ASSERT_TRUE(got.sequence_scores.contains(name)) << name;
    // The reference leaves out the last target token, which explains nothing.
    const Tensor rows = got.sequence_scores.at(name).slice(0, 0, scores.size(0)).slice(1, 0, scores.size(1));
    EXPECT_TRUE(agrees_relative(rows, scores, tolerance)) << name;
  }
  const json& aggregated = stored.at("aggregated");
  for (const auto& [values, key] : {std::pair{default_aggregated.source_attributions, "source_attributions"},
                                    std::pair{default_aggregated.target_attributions, "target_attributions"}})
    EXPECT_TRUE(agrees(values, to_tensor(aggregated.at(key)), tolerance.rtol, tolerance.aggregated_atol))
        << "aggregated " << key;
}

/// What is drawn at random lies within the spread of the reference's runs.
void expect_within_spread(const SequenceAttribution& got, const json& stored, const Case& one) {
  const double sigma = one.at("tolerance").at("sigma"), atol = one.at("tolerance").at("atol_rel");
  for (const auto& [values, name] : {std::pair{got.source_attributions, std::string("source_attributions")},
                                     std::pair{got.target_attributions, std::string("target_attributions")}}) {
    const Tensor mean = to_tensor(stored.at(name));
    ASSERT_EQ(values.defined(), mean.defined()) << name;
    if (!mean.defined()) continue;
    ASSERT_EQ(values.sizes(), mean.sizes()) << name;
    const Tensor seen = at::isnan(mean).logical_not();
    ASSERT_TRUE(at::isnan(values).logical_not().equal(seen)) << name;
    const Tensor expected = mean.masked_select(seen), spread = to_tensor(stored.at(name + "_std")).masked_select(seen);
    const Tensor allowed = sigma * spread + atol * expected.abs().max();
    const Tensor outside = (values.masked_select(seen) - expected).abs() > allowed;
    EXPECT_LE(outside.sum().item<std::int64_t>() * 300, outside.numel()) << name;
  }
}

class AttributeParity : public ::testing::TestWithParam<Case> {};

TEST_P(AttributeParity, ReproducesTheReference) {
  const Case& one = GetParam();
  const json expected = load_expected(one);
  const Model& subject = model(one.model);
  const auto texts = host::prepare_sequences(subject, input_texts(one), generation_config(one));

  if (one.kind == "generate") {
    TokenIds ids;
    for (const Token& token : texts.at(0).sequence.target) ids.push_back(token.id);
    EXPECT_EQ(ids, expected.at("generated_ids").get<TokenIds>());
    EXPECT_EQ(texts[0].generated_text, expected.at("generated_text").get<std::string>());
    // Generated text that tokenises differently was attributed as tokenised again by the reference, with an end mark
    // behind the targets of encoder-decoders.
    if (!expected.contains("target_attributions") || !expected.at("roundtrip").get<bool>() ||
        expected.at("target_ids").get<TokenIds>() != ids)
      return;
  }

  host::AttributeOptions options;
  options.attribute_target = one.at("attribute_target") == true;
  if (const json& kwargs = one.at("attribute_kwargs"); kwargs.is_object())
    options.eos_baseline = kwargs.value("include_eos_baseline", false);
  const AttributionOutput got = host::attribute(subject, plugins(), texts, attribution_spec(one), options);
  if (one.kind == "statistical") {
    expect_within_spread(got.sequences.at(0), expected, one);
    return;
  }
  const AttributionOutput aggregated = host::aggregated(plugins(), got);
  const json sequences = one.kind == "batch" ? expected.at("sequences") : json::array({expected});
  ASSERT_EQ(got.sequences.size(), sequences.size());
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    SCOPED_TRACE("sequence " + std::to_string(i));
    expect_sequence(got.sequences[i], aggregated.sequences[i], sequences[i], one);
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, AttributeParity, ::testing::ValuesIn(cases_to_attribute()),
                         [](const auto& info) { return test_name(info.param.id); });

}  // namespace
}  // namespace whence::parity
