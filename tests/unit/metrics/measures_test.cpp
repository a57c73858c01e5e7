// Metrics that remove units, on a model whose logits are additive in its tokens: by hand, by brute force, at their
// best.
#include <ATen/ops/dot.h>
#include <ATen/ops/full.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/nanmean.h>
#include <ATen/ops/zeros.h>

#include <bit>
#include <cmath>

#include "metrics/metric_fixture.h"

namespace whence {
namespace {

using testing::MetricTest;
using testing::number;
using testing::text_of_error;

Value ratios(const std::vector<double>& numbers) { return Value(Value::List(numbers.begin(), numbers.end())); }

TEST_F(MetricTest, ExactAttributionsReachTheBestComprehensivenessAndSufficiency) {
  for (const bool comprehensiveness : {true, false}) {
    const Measure measure = this->measure(comprehensiveness ? "comprehensiveness" : "sufficiency",
                                          {{"ratios", ratios({0.5})}, {"scales", scales("score")}})
                                .front();
    EXPECT_EQ(measure.name, comprehensiveness ? "comprehensiveness (score)" : "sufficiency (score)");
    EXPECT_EQ(measure.higher_is_better, comprehensiveness);
    each_step([&](std::int64_t b, std::int64_t t) {
      const std::int64_t seen = texts[b].steps.start + t, count = std::llround(0.5 * static_cast<double>(seen));
      const Tensor weights = exact(texts[b]).select(1, t);
      // The best of all subsets of that size, and the worst.
      double best = -1e9, worst = 1e9;
      for (std::uint32_t subset = 0; subset < 1u << seen; ++subset) {
        if (std::popcount(subset) != count) continue;
        double removed = 0;
        for (std::int64_t i = 0; i < seen; ++i)
          if (bool(subset >> i & 1) == comprehensiveness) removed += weights[i].item<double>();
        best = std::max(best, removed);
        worst = std::min(worst, removed);
      }
      EXPECT_NEAR(value(measure, 0, b, t), comprehensiveness ? best : worst, 1e-4);
      EXPECT_NEAR(value(measure, 1, b, t), comprehensiveness ? worst : best, 1e-4);
      EXPECT_LE(worst - 1e-4, value(measure, 2, b, t));
      EXPECT_LE(value(measure, 2, b, t), best + 1e-4);
    });
    const Tensor means = at::nanmean(measure.values, {1, 2});
    EXPECT_EQ(means[0].item<double>() > means[2].item<double>(), comprehensiveness) << "noise is worse";
  }
}

TEST_F(MetricTest, AopcIsTheMeanDropOverRatios) {
  // The first step of the second text sees tokens 5, 6 and 8; these ratios take one and two of them.
  const auto measures = this->measure("comprehensiveness", {{"ratios", ratios({0.01, 0.7})}});
  ASSERT_EQ(measures.size(), 2u);
  EXPECT_EQ(measures[1].name, "comprehensiveness (log-probability)");
  const Sequence& text = texts[1];
  const Tensor weights = exact(text).select(1, 0);
  std::vector<std::int64_t> order{0, 1, 2};
  std::sort(order.begin(), order.end(),
            [&](std::int64_t a, std::int64_t b) { return weights[a].item<double>() > weights[b].item<double>(); });
  const auto log_probability = [&](std::size_t removed) {
    Tensor sum = at::zeros({testing::FakeModel::kHidden});
    for (std::size_t i = removed; i < 3; ++i) sum = sum + row(text, order[i]);
    return at::log_softmax(at::matmul(sum, model.head), -1)[text.target[3].id].item<double>();
  };
  const double l0 = log_probability(0), l1 = log_probability(1), l2 = log_probability(2);
  EXPECT_NEAR(value(measures[0], 0, 1, 0), std::exp(l0) - (std::exp(l1) + std::exp(l2)) / 2, 1e-6);
  EXPECT_NEAR(value(measures[1], 0, 1, 0), l0 - (l1 + l2) / 2, 1e-5);
  EXPECT_TRUE(std::isnan(value(measures[0], 0, 1, 2))) << "the second text has two steps";
}

TEST_F(MetricTest, CurvesAreTrapezoidsOverTheShareOfUnits) {
  const auto measures = this->measure("perturbation_curve", {{"points", number(0)}, {"scales", scales("score")}});
  ASSERT_EQ(measures.size(), 3u);
  const Measure &deletion = measures[0], &insertion = measures[1], &between = measures[2];
  EXPECT_EQ(deletion.name, "deletion_auc (score)");
  EXPECT_FALSE(deletion.higher_is_better);
  EXPECT_TRUE(insertion.higher_is_better && between.higher_is_better);
  each_step([&](std::int64_t b, std::int64_t t) {
    const std::int64_t seen = texts[b].steps.start + t;
    std::vector<double> weights;
    for (std::int64_t i = 0; i < seen; ++i) weights.push_back(exact(texts[b])[i][t].item<double>());
    std::sort(weights.rbegin(), weights.rend());
    double area = 0, left = 0;
    for (const double weight : weights) left += weight;
    for (const double weight : weights) {
      area += (left + left - weight) / 2 / static_cast<double>(seen);
      left -= weight;
    }
    EXPECT_NEAR(value(deletion, 0, b, t), area, 1e-4);
    // Least relevant first, from the other end.
    EXPECT_NEAR(value(insertion, 1, b, t), value(deletion, 0, b, t), 1e-4);
    EXPECT_NEAR(value(between, 0, b, t), value(insertion, 0, b, t) - value(deletion, 0, b, t), 1e-9);
    EXPECT_NEAR(value(between, 1, b, t), -value(between, 0, b, t), 1e-4);
    EXPECT_GE(value(between, 0, b, t) + 1e-4, std::abs(value(between, 2, b, t)));
  });
}

TEST_F(MetricTest, AreaOfFewPointsTakesLongSteps) {
  const Measure ends =
      this->measure("perturbation_curve", {{"points", number(1)}, {"scales", scales("score")}}).front();
  each_step([&](std::int64_t b, std::int64_t t) {
    const double whole = exact(texts[b]).select(1, t).slice(0, 0, texts[b].steps.start + t).sum().item<double>();
    EXPECT_NEAR(value(ends, 0, b, t), whole / 2, 1e-4);
  });
}

TEST_F(MetricTest, TrueWeightsOfAnAdditiveModelAreFaithfulWithoutRest) {
  const Measure lds = this->measure("lds").front(), gap = this->measure("completeness_gap").front(),
                loo = this->measure("loo_correlation").front();
  const auto infidelity = this->measure("infidelity");
  const Measure relative = this->measure("completeness_gap", {{"relative", Value(true)}}).front();
  each_step([&](std::int64_t b, std::int64_t t) {
    EXPECT_GT(value(lds, 0, b, t), 0.999);
    EXPECT_LT(value(lds, 1, b, t), -0.999);
    EXPECT_LT(std::abs(value(lds, 2, b, t)), 0.999);
    EXPECT_NEAR(value(loo, 0, b, t), 1, 1e-9);
    EXPECT_NEAR(value(loo, 1, b, t), -1, 1e-9);
    EXPECT_NEAR(value(gap, 0, b, t), 0, 1e-4);
    const double whole = exact(texts[b]).select(1, t).slice(0, 0, texts[b].steps.start + t).sum().item<double>();
    EXPECT_NEAR(value(gap, 1, b, t), 2 * std::abs(whole), 1e-4);
    EXPECT_NEAR(value(relative, 1, b, t), 2, 1e-3);
    EXPECT_TRUE(std::isnan(value(gap, 2, b, t))) << "noise explains no score";
    EXPECT_NEAR(value(infidelity[0], 0, b, t), 0, 1e-6);
    EXPECT_GT(value(infidelity[0], 1, b, t), 0.01);
    EXPECT_TRUE(std::isnan(value(infidelity[0], 2, b, t)));
    EXPECT_NEAR(value(infidelity[1], 1, b, t), 0, 1e-6) << "a factor of -1 makes the opposite exact";
    EXPECT_GT(value(infidelity[1], 2, b, t), 1e-4);
  });
}

TEST_F(MetricTest, InfidelityIsTheMeanSquaredErrorOfDrops) {
  std::vector<UnitScores> halves = attributions(texts);
  for (Tensor& scores : halves[0].scores) scores = scores / 2;
  const auto measures = measure("infidelity", {{"ablations", number(7)}, {"keep_prob", Value(0.3)}}, halves, texts);
  each_step([&](std::int64_t b, std::int64_t t) {
    double expected = 0;
    for (std::int64_t sample = 0; sample < 7; ++sample) {
      const Tensor drawn = RandomStream({0, texts[b].id, "random ablations", static_cast<std::uint64_t>(sample)})
                               .uniform({texts[b].steps.end - 1});
      double removed = 0;
      for (std::int64_t i = 0; i < texts[b].steps.start + t; ++i)
        if (drawn[i].item<double>() >= 0.3) removed += exact(texts[b])[i][t].item<double>();
      expected += removed * removed / 4 / 7;
    }
    EXPECT_NEAR(value(measures[0], 0, b, t), expected, 1e-3 * std::max(1.0, expected));
    EXPECT_NEAR(value(measures[1], 0, b, t), 0, 1e-4);
  });
}

TEST_F(MetricTest, EqualScoresSayNothingOfRanks) {
  std::vector<UnitScores> uniform{{.name = "uniform"}};
  for (const Sequence& text : texts) uniform[0].scores.push_back(at::ones_like(exact(text)));
  EXPECT_TRUE(std::isnan(value(measure("loo_correlation", {}, uniform, texts).front(), 0, 0, 0)));
  EXPECT_FALSE(std::isnan(value(measure("lds", {}, uniform, texts).front(), 0, 0, 0))) << "how many are left varies";
}

TEST_F(MetricTest, NumbersOfATextDoNotDependOnTheOthers) {
  for (const char* metric : {"comprehensiveness", "sufficiency", "soft_comprehensiveness", "perturbation_curve", "lds",
                             "infidelity", "completeness_gap", "loo_correlation"})
    for (const char* removal : {"zero", "delete", "baseline"}) {
      const auto together = measure(metric, {}, attributions(texts), texts, removal);
      for (std::int64_t b = 0; b < 2; ++b) {
        const std::vector<Sequence> one{texts[b]};
        const auto alone = measure(metric, {}, attributions(one), one, removal);
        for (std::size_t m = 0; m < together.size(); ++m)
          for (std::int64_t a = 0; a < 3; ++a)
            for (std::int64_t t = 0; t < texts[b].steps.size(); ++t) {
              const double expected = value(alone[m], a, 0, t), found = value(together[m], a, b, t);
              if (std::isnan(expected))
                EXPECT_TRUE(std::isnan(found));
              else
                EXPECT_NEAR(found, expected, 1e-5 * std::max(1.0, std::abs(expected))) << metric << " " << removal;
            }
      }
    }
}

TEST_F(MetricTest, ParametersAreChecked) {
  EXPECT_EQ(text_of_error<ConfigError>([&] { measure("aopc", {{"ratios", ratios({})}}); }),
            "ratios: names none; expected numbers between 0 and 1");
  EXPECT_EQ(text_of_error<ConfigError>([&] { measure("aopc", {{"scales", Value(Value::List{})}}); }),
            "scales: names none; expected probability, log_probability or score");
}

}  // namespace
}  // namespace whence
