// Token-level attributions: hidden units that are reduced while they are computed give the numbers of a chain that is
// applied to all of them.
#include <ATen/ops/full.h>

#include <limits>

#include "attribute_fixture.h"
#include "host/aggregation.h"
#include "support/least_budget.h"
#include "whence/reduce.h"
#include "whence/result_json.h"

namespace whence {
namespace {

using host::Granularity;
using testing::built_plugins;
using testing::choice;
using testing::near;
using testing::number;
using testing::span;
using testing::text_of_error;

class GranularityTest : public testing::AttributeTest {
 protected:
  /// The result at either granularity; step scores beside it, so that chains that merge tokens have more to do.
  AttributionOutput with(Granularity granularity, const std::optional<std::vector<host::Choice>>& chain,
                         const std::string& method = "saliency", Value::Map params = {{"abs", Value(false)}}) const {
    host::AttributionSpec asked = spec(method, std::move(params));
    asked.granularity = granularity;
    asked.aggregation = chain;
    asked.step_scores = {choice("probability")};
    return attribute(asked);
  }

  static void expect_same(const AttributionOutput& got, const AttributionOutput& expected) {
    ASSERT_EQ(got.sequences.size(), expected.sequences.size());
    for (std::size_t i = 0; i < got.sequences.size(); ++i) {
      const SequenceAttribution &one = got.sequences[i], &other = expected.sequences[i];
      EXPECT_EQ(one.granularity, other.granularity);
      EXPECT_TRUE(near(one.target_attributions, other.target_attributions, 1e-5, 1e-6));
      EXPECT_EQ(one.step_scores.size(), other.step_scores.size());
      for (const auto& [name, scores] : other.step_scores) {
        // That of a result whose hidden units are kept is of their norms.
        if (name == "error_estimate") continue;
        EXPECT_TRUE(near(one.step_scores.at(name), scores)) << name;
      }
    }
  }

  static AttributionOutput stored_and_read(const AttributionOutput& output) {
    return from_result_json(to_result_json(output), "result");
  }

  void expect_same_after(const std::optional<std::vector<host::Choice>>& chain, const std::string& method = "saliency",
                         Value::Map params = {{"abs", Value(false)}}) {
    const AttributionOutput token = with(Granularity::token, chain, method, params);
    const AttributionOutput expected =
        host::aggregated(built_plugins(), with(Granularity::full, chain, method, params), chain);
    for (const SequenceAttribution& sequence : token.sequences) EXPECT_EQ(sequence.target_attributions.dim(), 2);
    expect_same(host::aggregated(built_plugins(), token, chain), expected);
    expect_same(host::aggregated(built_plugins(), stored_and_read(token), chain), expected);
  }
};

TEST_F(GranularityTest, GivesTheSameForEveryFunction) {
  for (const std::string& function : reduction_names()) {
    SCOPED_TRACE(function);
    expect_same_after({{choice(function)}});
    expect_same_after({{choice("scores", {{"function", Value(function)}, {"normalize", Value(false)}})}});
    expect_same_after({{choice("scores", {{"function", Value(function)}, {"rescale", Value(true)}})}});
    expect_same_after({{choice(function, {{"range", span(1, 4)}})}});
    expect_same_after({{choice(function, {{"indices", Value(Value::List{number(-1), number(0)})}})}});
    expect_same_after({{choice(function, {{"index", number(-2)}})}});
    expect_same_after({{choice(function), choice("spans", {{"target_spans", Value(Value::List{span(0, 2)})}})}});
    expect_same_after({{choice(function)}}, "integrated_gradients", {{"n_steps", number(3)}});
    expect_same_after({{choice(function), choice("rescale")}}, "input_x_gradient", {});
  }
}

TEST_F(GranularityTest, GivesTheSameForTheDefaultChain) {
  expect_same_after(std::nullopt);
  expect_same_after({{choice("vnorm", {{"norm_order", Value(3.0)}})}});
}

TEST_F(GranularityTest, SumsOfOneTokenAtATimeAreScoreDifferencesAndSaySo) {
  const std::vector<host::Choice> sum = {choice("sum", {{"normalize", Value(false)}})};
  const auto made = [&](Granularity granularity, std::int64_t nodes) {
    return with(granularity, sum, "sequential_integrated_gradients", {{"n_steps", number(nodes)}});
  };
  const auto notes = [](const AttributionOutput& output) {
    const auto found = std::ranges::find(output.info, "notes", &Value::Map::value_type::first);
    return found == output.info.end() ? 0 : std::ssize(found->second.as_list());
  };
  const AttributionOutput exact = made(Granularity::token, 1), integrated = made(Granularity::full, 64);
  // Every batch says it; the result keeps it once.
  EXPECT_EQ(notes(exact), 1);
  EXPECT_EQ(notes(integrated), 0);
  const AttributionOutput got = host::aggregated(built_plugins(), exact, sum),
                          expected = host::aggregated(built_plugins(), integrated, sum);
  ASSERT_EQ(got.sequences.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_TRUE(near(got.sequences[i].target_attributions, expected.sequences[i].target_attributions, 0, 2e-4));
}

TEST_F(GranularityTest, GivesTheSameUnderEveryBudget) {
  const auto chain = std::vector{choice("vnorm")};
  const AttributionOutput roomy = with(Granularity::token, chain, "integrated_gradients", {{"n_steps", number(4)}});
  const auto tight = [&](std::int64_t budget) {
    options.memory_bytes = budget;
    return with(Granularity::token, chain, "integrated_gradients", {{"n_steps", number(4)}});
  };
  expect_same(tight(testing::least_budget(tight)), roomy);
}

TEST_F(GranularityTest, KeepsHiddenUnitsWhereNoChainReducesThem) {
  EXPECT_EQ(with(Granularity::full, std::nullopt).sequences[0].granularity, std::vector<std::string>{"hidden"});
  EXPECT_EQ(with(Granularity::token, {{}}).sequences[0].granularity, std::vector<std::string>{"hidden"});
  const AttributionOutput scaled = with(Granularity::token, {{choice("normalize"), choice("sum")}});
  EXPECT_EQ(scaled.sequences[0].granularity, std::vector<std::string>{"hidden"});
}

TEST_F(GranularityTest, LeavesOtherMethodsAlone) {
  for (const char* method : {"attention", "occlusion"}) {
    const AttributionOutput token = attribute(spec(method));
    host::AttributionSpec full = spec(method);
    full.granularity = Granularity::full;
    expect_same(token, attribute(full));
    expect_same(host::aggregated(built_plugins(), token), host::aggregated(built_plugins(), attribute(full)));
    for (const auto& [key, _] : token.info) EXPECT_NE(key, host::kReducedKey);
  }
}

TEST_F(GranularityTest, RecordsTheReduction) {
  const AttributionOutput token = with(Granularity::token, {{choice("vnorm", {{"norm_order", Value(1.0)}})}});
  const auto record = std::find_if(token.info.begin(), token.info.end(),
                                   [](const auto& entry) { return entry.first == host::kReducedKey; });
  ASSERT_NE(record, token.info.end());
  EXPECT_EQ(record->second.at("description").as_string(), "vnorm of order 1");
  EXPECT_EQ(record->second.at("aggregator").as_string(), "scores");
  EXPECT_EQ(record->second.at("parameters").at("norm_order").as_double(), 1.0);
  // Without a chain the rest of the recorded stage is done, and nothing is left to do then.
  const AttributionOutput done = host::aggregated(built_plugins(), token);
  expect_same(done, host::aggregated(built_plugins(), token, {{choice("vnorm", {{"norm_order", Value(1.0)}})}}));
  expect_same(host::aggregated(built_plugins(), done), done);
}

TEST_F(GranularityTest, RefusesAChainThatBeginsWithAnotherReduction) {
  const AttributionOutput token = with(Granularity::token, std::nullopt);
  EXPECT_EQ(
      text_of_error([&] { host::aggregated(built_plugins(), token, {{host::Choice{"sum", {}, {"e.yaml", 3, 7}}}}); }),
      "e.yaml:3:7: aggregator 'sum': takes the sum over hidden units, but this result has already their vnorm of "
      "order 2; attribute again with it, or with granularity full");
  // A chain that begins in another way goes on with one number for each token.
  EXPECT_EQ(host::aggregated(built_plugins(), token, {{choice("normalize")}}).sequences[0].target_attributions.dim(),
            2);
}

TEST_F(GranularityTest, RefusesDamagedRecords) {
  AttributionOutput token = with(Granularity::token, std::nullopt);
  for (auto& [key, value] : token.info)
    if (key == host::kReducedKey) value = Value(std::string("vnorm"));
  EXPECT_EQ(text_of_error([&] { host::aggregated(built_plugins(), token); }).find("info.hidden_reduction: "), 0u);
}

TEST_F(GranularityTest, NamesThePlaceOfAReductionThatDoesNotFit) {
  host::AttributionSpec asked = spec("saliency");
  asked.aggregation = {{"mean", Value(Value::Map{{"index", number(99)}}), {"e.yaml", 3, 7}}};
  EXPECT_EQ(text_of_error([&] { attribute(asked); }),
            "e.yaml:3:7: aggregator 'mean': index: 99 is outside a dimension of 5; expected -5 to 4");
}

/// A score whose gradient is not finite where the second token of the vocabulary is explained.
class Broken final : public StepFunction {
 public:
  Tensor score(const StepInputs& inputs) const override {
    const Tensor own = inputs.logits.gather(-1, inputs.target_ids.unsqueeze(-1)).squeeze(-1);
    return own * at::full({}, std::numeric_limits<float>::infinity());
  }
};

TEST_F(GranularityTest, AReductionHidesNothingThatIsNotFinite) {
  const Broken score;
  for (const char* function : {"absmax", "vnorm", "max"}) {
    const auto aggregator = built_plugins().make_aggregator(choice(function));
    Problem::Options of_problem;
    of_problem.hidden_reduction = static_cast<const HiddenReduction*>(aggregator->query(HiddenReduction::kCapability));
    const Problem problem(model, score, {testing::fake_sequence({3, 7, 2}, {1, 3})}, of_problem);
    EXPECT_FALSE(problem.gradients().target[0][0].isfinite().any().item<bool>()) << function;
  }
}

}  // namespace
}  // namespace whence
