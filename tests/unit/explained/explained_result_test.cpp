// Results of attributions that explain spans of steps as one.
#include <ATen/TensorOperators.h>
#include <ATen/ops/stack.h>
#include <gtest/gtest.h>

#include "host/attribute.h"
#include "host/attribution_info.h"
#include "host/explained.h"
#include "support/fake_model.h"
#include "support/plugins.h"
#include "support/tensors.h"
#include "support/text_of_error.h"
#include "whence/result_json.h"

namespace whence {
namespace {

using testing::built_plugins;
using testing::kNan;
using testing::near;
using testing::text_of_error;

class ExplainedResult : public ::testing::Test {
 protected:
  testing::FakeModel model;

  static std::vector<host::PreparedText> texts(std::vector<Span> spans) {
    host::PreparedText text{.sequence = testing::fake_sequence({3, 7, 2, 9, 4, 6, 8, 11}, {2, 8})};
    text.sequence.step_spans = std::move(spans);
    text.sequence.target_labels = {{"late", {5, 8}}};
    return {text};
  }
  static host::AttributionSpec spec(const std::string& method, Value::Map params = {}) {
    host::AttributionSpec spec;
    spec.name = method;
    spec.method = testing::choice(method, std::move(params));
    spec.step_scores = {testing::choice("probability")};
    return spec;
  }
  AttributionOutput attribute(const std::string& method, std::vector<Span> spans, Value::Map params = {}) const {
    host::AttributionSpec asked = spec(method, std::move(params));
    if (method == "input_x_gradient") asked.aggregation = {testing::choice("sum")};
    return host::attribute(model, built_plugins(), texts(std::move(spans)), asked);
  }
};

TEST_F(ExplainedResult, HoldsOneTokenForEachSpan) {
  const SequenceAttribution singles = attribute("input_x_gradient", {}).sequences[0];
  const AttributionOutput output = attribute("input_x_gradient", {{2, 4}, {4, 5}, {5, 8}});
  const SequenceAttribution& got = output.sequences[0];
  EXPECT_EQ(got.steps, (Span{2, 5}));
  ASSERT_EQ(got.target.size(), 5u);
  EXPECT_EQ(got.target[2], (Token{"t2t9", -1}));
  EXPECT_EQ(got.target[3], (Token{"t4", 4}));
  EXPECT_EQ(got.target_labels, (std::vector<Label>{{"late", {4, 5}}}));
  EXPECT_EQ(got.source.size(), 2u);
  // Linear in the gradient: columns add up, and rows.
  const Tensor all = singles.target_attributions.nan_to_num(0);
  const Tensor columns = at::stack({all.narrow(1, 0, 2).sum(1), all.select(1, 2), all.narrow(1, 3, 3).sum(1)}, 1);
  const Tensor rows =
      at::stack({columns[0], columns[1], columns.narrow(0, 2, 2).sum(0), columns[4], columns.narrow(0, 5, 3).sum(0)});
  Tensor expected = rows.clone();
  expected[3][0] = expected[4][0] = expected[3][1] = expected[4][1] = kNan;
  EXPECT_TRUE(near(got.target_attributions, expected));
  EXPECT_NE(got.target_attributions[2][0].item<double>(), 0) << "the first token of a span has a share in the second";
  const Tensor scores = singles.step_scores.at("probability");
  EXPECT_TRUE(near(got.step_scores.at("probability"),
                   at::stack({scores.narrow(0, 0, 2).sum(), scores[2], scores.narrow(0, 3, 3).sum()})));
}

TEST_F(ExplainedResult, TakesOneBackwardAsPlanned) {
  for (const char* method : {"saliency", "occlusion", "leave_one_out"}) {
    SCOPED_TRACE(method);
    const auto explained = texts({{2, 8}});
    const Work plan = host::plan_attribution(model, built_plugins(), explained, spec(method)).work;
    const Work done = host::cost_of(host::attribute(model, built_plugins(), explained, spec(method)))->work;
    EXPECT_EQ(plan.forward_passes, done.forward_passes);
    EXPECT_EQ(plan.forward_rows, done.forward_rows);
    EXPECT_EQ(plan.head_rows, done.head_rows);
    EXPECT_EQ(plan.backward_passes, done.backward_passes);
    EXPECT_EQ(plan.backward_rows, done.backward_rows);
    if (method == std::string("saliency")) {
      EXPECT_EQ(done.backward_rows, 7) << "rows up to the last predicting one, once";
    }
  }
}

TEST_F(ExplainedResult, DropsOfASpanAreThoseOfItsScore) {
  const auto columns = [&](std::vector<Span> spans, const char* method, Value::Map params) {
    return attribute(method, std::move(spans), std::move(params)).sequences[0].target_attributions.nan_to_num(0);
  };
  for (const auto& [method, params] : std::vector<std::pair<const char*, Value::Map>>{
           {"occlusion", {}}, {"leave_one_out", {{"units", testing::text("token")}}}}) {
    SCOPED_TRACE(method);
    const Tensor singles = columns({}, method, params), got = columns({{2, 8}}, method, params);
    EXPECT_TRUE(near(got.select(1, 0).narrow(0, 0, 2), singles.sum(1).narrow(0, 0, 2)));
    EXPECT_TRUE(near(got[2][0], singles.narrow(0, 2, 6).sum()));
  }
}

TEST_F(ExplainedResult, CanBeStoredAndRead) {
  const AttributionOutput output = attribute("saliency", {{2, 4}, {4, 8}});
  const AttributionOutput read = from_result_json(to_result_json(output), "result");
  ASSERT_EQ(read.sequences.size(), 1u);
  EXPECT_EQ(read.sequences[0].steps, (Span{2, 4}));
  EXPECT_EQ(read.sequences[0].target, output.sequences[0].target);
  EXPECT_EQ(read.sequences[0].target_labels, output.sequences[0].target_labels);
  EXPECT_TRUE(near(read.sequences[0].target_attributions, output.sequences[0].target_attributions));
  const auto entry = [&](const char* key) {
    return std::ranges::find(read.info, key, &Value::Map::value_type::first)->second;
  };
  EXPECT_EQ(entry("explained_spans").as_list()[0].as_list()[1], testing::span(4, 8));
  EXPECT_EQ(entry("explained_span_scores").as_list()[0].as_string(), "sum");
}

TEST_F(ExplainedResult, IsRefusedBeforeAnyWork) {
  EXPECT_EQ(text_of_error<ConfigError>([&] { attribute("attention", {{2, 8}}); }),
            "method 'attention' explains single steps, not a span of them as one; choose a method of gradients or "
            "perturbations, such as saliency or leave_one_out, or leave 'explain' out");
  EXPECT_EQ(text_of_error<InputError>([&] { attribute("saliency", {{2, 4}, {6, 8}}); }),
            "sequence '0': nobody explains the positions from 4 to 6, but results hold neighbouring steps; make them a "
            "span of their own");
  EXPECT_EQ(model.work().forward_passes, 0);
}

TEST_F(ExplainedResult, IsRefusedOfAnExperimentWithItsPlace) {
  host::Experiment experiment;
  experiment.attributions = {spec("saliency"), spec("attention")};
  experiment.inputs = {
      {.id = "0", .text = "a", .explain = host::ExplainChoice{.units = "whole", .where = {"e.yaml", 3, 5}}}};
  EXPECT_TRUE(text_of_error<ConfigError>([&] {
                host::check_explained(built_plugins().catalogue(), experiment);
              }).starts_with("e.yaml:3:5: method 'attention' explains single steps"));
  EXPECT_EQ(text_of_error<ConfigError>([&] { host::require_single_steps(experiment, "this is not"); }),
            "e.yaml:3:5: input '0' explains spans of steps as one, but this is not; leave 'explain' out");
  experiment.inputs[0].explain->units = "token";
  host::check_explained(built_plugins().catalogue(), experiment);
}

}  // namespace
}  // namespace whence
