// Stored attributions, evaluated with baselines.
#include "host/evaluation.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/dot.h>
#include <ATen/ops/full.h>
#include <ATen/ops/nanmean.h>

#include "metrics/metric_fixture.h"

namespace whence::host {
namespace {

using testing::built_plugins;
using testing::choice;
using testing::text_of_error;

class Evaluate : public testing::MetricTest {
 protected:
  Evaluate() {
    loo.name = "loo";
    loo.method = choice("leave_one_out", {{"removal", testing::text("zero")}, {"protect", testing::text("none")}});
    loo.attributed_function = choice("logit");
    spec.removals = {{"zero", ""}};
    spec.protect = "none";
    spec.random_draws = 4;
  }

  std::vector<NamedOutput> results() const {
    std::vector<PreparedText> prepared;
    for (const Sequence& text : texts) prepared.push_back({.sequence = text});
    NamedOutput made{loo, attribute(model, built_plugins(), prepared, loo)};
    NamedOutput opposite = made;
    opposite.spec.name = "opposite";
    for (SequenceAttribution& sequence : opposite.output.sequences)
      sequence.target_attributions = -sequence.target_attributions;
    return {made, opposite};
  }
  EvaluatedResults evaluated(EvaluateOptions options = {}) const {
    return evaluate(built_plugins(), model, results(), {"0", "1"}, spec, options);
  }
  static const EvaluatedMeasure& find(const EvaluatedResults& results, const std::string& name) {
    for (const EvaluatedMeasure& measure : results.measures)
      if (measure.name == name) return measure;
    throw std::logic_error("no measure " + name);
  }

  AttributionSpec loo;
  EvaluationSpec spec;
};

TEST_F(Evaluate, LeaveOneOutOfAnAdditiveModelIsFaithful) {
  const EvaluatedResults results = evaluated();
  EXPECT_EQ(results.names, (std::vector<std::string>{"loo", "opposite", "random", "recency", "primacy", "uniform"}));
  EXPECT_EQ(results.score, "logit");
  ASSERT_EQ(results.steps.size(), 5u);
  EXPECT_EQ(results.steps[3].text, "1");
  EXPECT_EQ(results.steps[3].position, 3);
  EXPECT_EQ(results.steps[3].token, "t10");
  for (std::int64_t n = 0; n < 5; ++n) {
    EXPECT_NEAR(find(results, "loo_correlation").values[0][n].item<double>(), 1, 1e-9);
    EXPECT_NEAR(find(results, "loo_correlation").values[1][n].item<double>(), -1, 1e-9);
    EXPECT_GT(find(results, "lds").values[0][n].item<double>(), 0.999);
    EXPECT_NEAR(find(results, "infidelity").values[0][n].item<double>(), 0, 1e-6);
    EXPECT_NEAR(find(results, "completeness_gap").values[0][n].item<double>(), 0, 1e-4);
  }
  EXPECT_TRUE(find(results, "loo_correlation").values[5].isnan().all().item<bool>()) << "uniform ranks nothing";
  const EvaluatedMeasure& lds = find(results, "lds");
  EXPECT_EQ(lds.draws.size(0), 4);
  EXPECT_TRUE(at::allclose(lds.values[2], at::nanmean(lds.draws, 0)));
  EXPECT_GT(results.seconds, 0);
}

TEST_F(Evaluate, DoesNotDependOnBatches) {
  const EvaluatedResults one = evaluated({.batch_size = 1}), both = evaluated({.batch_size = 2});
  ASSERT_EQ(one.measures.size(), both.measures.size());
  for (std::size_t m = 0; m < one.measures.size(); ++m) {
    EXPECT_EQ(one.measures[m].name, both.measures[m].name);
    EXPECT_TRUE(at::allclose(one.measures[m].values, both.measures[m].values, 1e-5, 1e-6, /*equal_nan=*/true))
        << one.measures[m].name;
  }
  const EvaluatedResults other = evaluated({.seed = 3});
  EXPECT_FALSE(at::allclose(find(one, "lds").draws, find(other, "lds").draws)) << "the seed draws";
}

TEST_F(Evaluate, MeasuresEveryRemovalAndWhatNeedsNoneOnce) {
  spec.metrics = {choice("comprehensiveness"), choice("soft_sufficiency")};
  spec.removals = {{"zero", ""}, {"delete", ""}, {"token", "t5"}};
  std::vector<std::string> seen;
  for (const EvaluatedMeasure& measure : evaluated().measures) seen.push_back(measure.removal + ": " + measure.name);
  EXPECT_EQ(seen,
            (std::vector<std::string>{"zero: comprehensiveness", "zero: comprehensiveness (log-probability)",
                                      ": soft_sufficiency", ": soft_sufficiency (log-probability)",
                                      "delete: comprehensiveness", "delete: comprehensiveness (log-probability)",
                                      "token t5: comprehensiveness", "token t5: comprehensiveness (log-probability)"}));
}

TEST_F(Evaluate, MakesAttributionsAgainForSensitivity) {
  spec.metrics = {choice("sensitivity", {{"radius", Value(0.001)}})};
  const EvaluatedResults results = evaluated();
  for (std::int64_t n = 0; n < 5; ++n) {
    EXPECT_GT(results.measures[0].values[0][n].item<double>(), 0);
    EXPECT_LT(results.measures[0].values[0][n].item<double>(), 0.1);
  }
}

TEST_F(Evaluate, TellsWhenAttributionsExplainDifferentScores) {
  std::vector<NamedOutput> mixed = results();
  mixed[1].spec.attributed_function = choice("probability");
  spec.metrics = {choice("completeness_gap")};
  const EvaluatedResults results = evaluate(built_plugins(), model, mixed, {"0", "1"}, spec);
  EXPECT_EQ(results.score, "probability");
  EXPECT_EQ(results.notes, (std::vector<std::string>{"the attributions explain different scores; what is measured on "
                                                     "one is measured on the probability"}));
  EXPECT_TRUE(results.measures[0].values[0].isnan().all().item<bool>());
  EXPECT_FALSE(results.measures[0].values[1].isnan().any().item<bool>());
  spec.score = choice("logit");
  EXPECT_FALSE(
      evaluate(built_plugins(), model, mixed, {"0", "1"}, spec).measures[0].values[0].isnan().any().item<bool>());
}

TEST_F(Evaluate, RefusesWhatDoesNotFit) {
  const auto error_of = [&](const std::vector<NamedOutput>& given) {
    return text_of_error<Error>([&] { evaluate(built_plugins(), model, given, {"0", "1"}, spec); });
  };
  std::vector<NamedOutput> changed = results();
  changed[1].output.sequences[1].target[2].text = "else";
  EXPECT_EQ(
      error_of(changed),
      "'opposite' and 'loo' do not explain the same steps: text 1, target token 2 is 'else' (id 8), expected 't8' "
      "(id 8); attribute the same texts, for instance in one experiment");
  for (NamedOutput& result : changed) result.output.sequences[1].target[2].text = "else";
  EXPECT_EQ(error_of(changed),
            "'loo', text 1: token 2 is 'else' (id 8), which model 'fake' calls 't8'; evaluate with the model that was "
            "attributed");
  for (NamedOutput& result : changed) result.output.sequences[1].target[2] = {"else", 99};
  EXPECT_EQ(error_of(changed),
            "'loo', text 1: token 2 is 'else' (id 99), which model 'fake' does not have; evaluate with the model that "
            "was attributed");
  changed = results();
  changed[0].spec.name = "random";
  EXPECT_EQ(error_of(changed), "attribution 'random': is the name of a baseline; give it another");
  EXPECT_EQ(error_of({}), "there is nothing to evaluate; give at least one attribution");
  spec.metrics = {choice("aopc"), choice("comprehensiveness")};
  EXPECT_EQ(error_of(results()),
            "metric 'comprehensiveness': measures 'comprehensiveness', as another of the metrics does; keep one of the "
            "two");
  spec.metrics = {choice("lds", {{"ablation", Value(std::int64_t{3})}})};
  EXPECT_TRUE(
      error_of(results()).starts_with("unknown parameter of metric 'lds' 'ablation'; did you mean 'ablations'?"))
      << error_of(results());
}

TEST(EvaluationSpec, ReadsItsOwnText) {
  EvaluationSpec spec;
  spec.metrics = {choice("aopc", {{"measure", testing::text("sufficiency")}}), choice("lds")};
  spec.removals = {{"delete", ""}, {"token", "the"}};
  spec.units = "word";
  spec.protect = "none";
  spec.score = choice("probability", {{"logprob", Value(true)}});
  spec.aggregation = std::vector<Choice>{choice("sum")};
  spec.random_draws = 30;
  spec.resamples = 10;
  spec.confidence = 0.9;
  const EvaluationSpec read = parse_evaluation(evaluation_value(spec));
  EXPECT_EQ(read.removals, spec.removals);
  EXPECT_EQ(evaluation_value(read), evaluation_value(spec));
  EXPECT_EQ(parse_evaluation(Value(Value::Map{})), EvaluationSpec{});
}

TEST(EvaluationSpec, RefusesWhatItDoesNotKnow) {
  const auto error_of = [](Value::Map map) {
    return text_of_error<ConfigError>([&] { parse_evaluation(Value(std::move(map))); });
  };
  EXPECT_EQ(error_of({{"removals", Value(Value::List{testing::text("erase")})}}),
            "unknown removal 'erase'; known: baseline, delete, mask, mean, token, zero");
  EXPECT_EQ(error_of({{"removals", Value(Value::List{testing::text("zero"), testing::text("zero")})}}),
            "the removal 'zero' is listed twice; keep one");
  EXPECT_EQ(error_of({{"random_draws", Value(std::int64_t{0})}}), "'random_draws' is 0; expected at least 1");
  EXPECT_EQ(error_of({{"confidence", Value(95.0)}}), "'confidence' is no number between 0 and 1, such as 0.95");
  EXPECT_EQ(error_of({{"metrics", Value(Value::List{})}}), "'metrics' is empty; name one, or leave it out");
}

}  // namespace
}  // namespace whence::host
