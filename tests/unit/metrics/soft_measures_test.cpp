// Soft comprehensiveness and sufficiency in closed form, and sensitivity.
#include <ATen/ops/dot.h>
#include <ATen/ops/full.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <cmath>

#include "metrics/metric_fixture.h"

namespace whence {
namespace {

using testing::MetricTest;
using testing::number;

class SoftMeasures : public MetricTest {
 protected:
  /// One text with one step that sees four tokens, and one attribution.
  std::vector<Sequence> one{text("0", {3, 7, 2, 9, 4}, {4, 5})};
  static std::vector<UnitScores> scores(const std::vector<double>& numbers) {
    return {{.name = "a", .scores = {at::tensor(numbers, at::kDouble).unsqueeze(1)}}};
  }
  /// Log-probability of the explained token when embeddings are multiplied.
  double log_probability(const std::vector<double>& kept) const {
    Tensor sum = at::zeros({testing::FakeModel::kHidden});
    for (std::int64_t i = 0; i < 4; ++i) sum = sum + row(one[0], i) * kept[static_cast<std::size_t>(i)];
    return at::log_softmax(at::matmul(sum, model.head), -1)[4].item<double>();
  }
  double soft(const std::string& metric, Value::Map params, const std::vector<double>& numbers,
              std::uint64_t seed = 0) {
    return value(measure(metric, std::move(params), scores(numbers), one, "zero", seed).back(), 0, 0, 0);
  }
};

TEST_F(SoftMeasures, KeepSharesOfTheEmbeddings) {
  const double whole = log_probability({1, 1, 1, 1});
  // A mean of one half, in proportion to the scores.
  EXPECT_NEAR(soft("soft_sufficiency", {}, {1, 2, 3, 4}), whole - log_probability({0.2, 0.4, 0.6, 0.8}), 1e-5);
  EXPECT_NEAR(soft("soft_comprehensiveness", {}, {1, 2, 3, 4}), whole - log_probability({0.8, 0.6, 0.4, 0.2}), 1e-5);
  const auto measures = measure("soft_sufficiency", {}, scores({1, 2, 3, 4}), one);
  EXPECT_EQ(measures[0].name, "soft_sufficiency");
  EXPECT_NEAR(value(measures[0], 0, 0, 0), std::exp(whole) - std::exp(log_probability({0.2, 0.4, 0.6, 0.8})), 1e-6);
  EXPECT_FALSE(measures[0].higher_is_better);
}

TEST_F(SoftMeasures, EveryAttributionKeepsTheSameMass) {
  const double whole = log_probability({1, 1, 1, 1});
  EXPECT_NEAR(soft("soft_sufficiency", {}, {10, 20, 30, 40}), soft("soft_sufficiency", {}, {1, 2, 3, 4}), 1e-6);
  // One that is sharp keeps one token whole, and what is left of the mass goes to the others in proportion, or evenly.
  EXPECT_NEAR(soft("soft_sufficiency", {}, {1, 100, 1, 2}), whole - log_probability({0.25, 1, 0.25, 0.5}), 1e-5);
  EXPECT_NEAR(soft("soft_sufficiency", {}, {0, 5, -1, 0}), whole - log_probability({1 / 3.0, 1, 1 / 3.0, 1 / 3.0}),
              1e-5);
  EXPECT_NEAR(soft("soft_sufficiency", {{"mass", Value(0.25)}}, {0, 5, 0, 0}), whole - log_probability({0, 1, 0, 0}),
              1e-5);
}

TEST_F(SoftMeasures, DrawsAreKeyed) {
  const Value::Map drawn{{"samples", number(400)}};
  const double first = soft("soft_sufficiency", drawn, {1, 2, 3, 4});
  EXPECT_EQ(soft("soft_sufficiency", drawn, {1, 2, 3, 4}), first);
  EXPECT_NE(soft("soft_sufficiency", drawn, {1, 2, 3, 4}, 1), first);
  // Whole and empty tokens leave nothing to chance.
  EXPECT_NEAR(soft("soft_sufficiency", {{"samples", number(3)}, {"mass", Value(0.25)}}, {0, 5, 0, 0}),
              soft("soft_sufficiency", {{"mass", Value(0.25)}}, {0, 5, 0, 0}), 1e-6);
}

class SensitivityMeasure : public SoftMeasures {
 protected:
  /// What each token adds to the logit of the explained one, by a model whose embeddings may be off.
  std::vector<UnitScores> weights() {
    const auto of = [this](const Model& other) {
      const Tensor rows = other.embed(at::tensor(std::vector<std::int64_t>{3, 7, 2, 9}, at::kLong), Side::target);
      return std::vector<Tensor>{at::matmul(rows, model.head.select(1, 4)).to(at::kDouble).unsqueeze(1)};
    };
    std::vector<UnitScores> result{{.name = "weights", .scores = of(model), .again = of},
                                   {.name = "steady", .scores = {at::ones({4, 1}, at::kDouble)}},
                                   {.name = "baseline", .scores = {at::ones({4, 1}, at::kDouble)}}};
    result[1].again = [scores = result[1].scores](const Model&) { return scores; };
    return result;
  }
  Measure sensitivity(Value::Map params, std::uint64_t seed = 0) {
    return measure("sensitivity", std::move(params), weights(), one, "zero", seed).front();
  }
};

TEST_F(SensitivityMeasure, IsTheLargestRelativeChange) {
  const Measure measure = sensitivity({{"radius", Value(0.01)}});
  const double norm = weights()[0].scores[0].norm().item<double>();
  // No row changes by more than the radius times the sum of what it is multiplied by.
  const double most = 0.01 * model.head.select(1, 4).abs().sum().item<double>() * 2 / norm;
  EXPECT_GT(value(measure, 0, 0, 0), most / 100);
  EXPECT_LT(value(measure, 0, 0, 0), most);
  EXPECT_EQ(value(measure, 1, 0, 0), 0);
  EXPECT_TRUE(std::isnan(value(measure, 2, 0, 0)));
  EXPECT_FALSE(measure.higher_is_better);
  EXPECT_NEAR(value(sensitivity({{"radius", Value(0.02)}}), 0, 0, 0), 2 * value(measure, 0, 0, 0), 1e-4);
  EXPECT_EQ(value(sensitivity({{"radius", Value(0.0)}}), 0, 0, 0), 0);
  EXPECT_LE(value(sensitivity({{"radius", Value(0.01)}, {"samples", number(1)}}), 0, 0, 0), value(measure, 0, 0, 0));
  EXPECT_NE(value(sensitivity({{"radius", Value(0.01)}}, 1), 0, 0, 0), value(measure, 0, 0, 0));
}

TEST_F(SensitivityMeasure, SaysWhatCannotBeMadeAgain) {
  std::vector<UnitScores> deep = weights();
  deep[0].again = [](const Model&) -> std::vector<Tensor> { throw ModelError("no blocks"); };
  const Measure measure = this->measure("sensitivity", {}, deep, one).front();
  EXPECT_TRUE(std::isnan(value(measure, 0, 0, 0)));
  EXPECT_EQ(measure.notes, (std::vector<std::string>{"'weights' cannot be made with other embeddings: no blocks"}));
}

}  // namespace
}  // namespace whence
