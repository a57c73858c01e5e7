#include "host/evaluation_summary.h"

#include <ATen/ops/bincount.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/isnan.h>
#include <ATen/ops/mv.h>
#include <ATen/ops/nan_to_num.h>
#include <ATen/ops/nanmean.h>
#include <ATen/ops/nanquantile.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "whence/random.h"

namespace whence::host {
namespace {

using Json = nlohmann::ordered_json;

/// JSON has no NaN.
Json number(double value) { return std::isnan(value) ? Json() : Json(value); }

Json estimate_json(const Estimate& estimate) {
  return {{"mean", number(estimate.mean)},
          {"low", number(estimate.low)},
          {"high", number(estimate.high)},
          {"steps", estimate.steps}};
}

Json removal_json(const std::string& removal) { return removal.empty() ? Json() : Json(removal); }

}  // namespace

std::vector<EvaluationRow> summarize(const EvaluatedResults& results, std::int64_t resamples, double confidence,
                                     std::uint64_t seed) {
  if (results.measures.empty() || results.steps.empty()) return {};
  // Rows of every measure: values of all attributions, then their differences to the random baseline.
  std::vector<Tensor> parts;
  for (const EvaluatedMeasure& measure : results.measures) {
    parts.push_back(measure.values);
    parts.push_back(measure.values - measure.values[static_cast<std::int64_t>(results.random)]);
  }
  const Tensor rows = at::cat(parts), known = at::isnan(rows).logical_not().to(at::kDouble);
  const Tensor filled = at::nan_to_num(rows, 0.0);
  const std::int64_t steps = rows.size(1);
  std::vector<Tensor> means;
  for (std::int64_t r = 0; r < resamples; ++r) {
    RandomStream random({seed, "", "bootstrap", static_cast<std::uint64_t>(r)});
    const Tensor times = at::bincount(random.choice(steps, steps), {}, steps).to(at::kDouble);
    means.push_back(at::mv(filled, times) / at::mv(known, times));
  }
  const double outside = (1 - confidence) / 2;
  const Tensor ends = at::nanquantile(at::stack(means), at::tensor({outside, 1 - outside}, at::kDouble), 0);
  const Tensor mean = at::nanmean(rows, 1), counts = known.sum(1);
  const auto estimate = [&](std::int64_t row) {
    return Estimate{mean[row].item<double>(), ends[0][row].item<double>(), ends[1][row].item<double>(),
                    static_cast<std::int64_t>(counts[row].item<double>())};
  };
  const auto names = std::ssize(results.names);
  std::vector<EvaluationRow> summary;
  for (std::int64_t m = 0; m < std::ssize(results.measures); ++m)
    for (std::int64_t i = 0; i < names; ++i)
      summary.push_back({static_cast<std::size_t>(m), static_cast<std::size_t>(i), estimate(2 * m * names + i),
                         estimate((2 * m + 1) * names + i)});
  return summary;
}

std::string evaluation_json(const EvaluatedResults& results, const std::vector<EvaluationRow>& summary,
                            const EvaluationSpec& spec, std::uint64_t seed, bool with_rows) {
  Json removals = Json::array();
  for (const RemovalSpec& removal : spec.removals) removals.push_back(removal.name());
  Json table = Json::array(), rows = Json::array();
  for (const EvaluationRow& row : summary) {
    const EvaluatedMeasure& measure = results.measures[row.measure];
    table.push_back({{"removal", removal_json(measure.removal)},
                     {"metric", measure.name},
                     {"higher_is_better", measure.higher_is_better},
                     {"method", results.names[row.attribution]},
                     {"value", estimate_json(row.value)},
                     {"over_random", estimate_json(row.over_random)}});
  }
  for (const EvaluatedMeasure& measure : results.measures) {
    if (!with_rows) break;
    for (std::size_t n = 0; n < results.steps.size(); ++n)
      for (std::size_t i = 0; i < results.names.size(); ++i) {
        const EvaluatedStep& step = results.steps[n];
        const auto column = static_cast<std::int64_t>(n);
        Json row{{"text", step.text},
                 {"step", step.step},
                 {"position", step.position},
                 {"token", step.token},
                 {"removal", removal_json(measure.removal)},
                 {"metric", measure.name},
                 {"method", results.names[i]},
                 {"value", number(measure.values[static_cast<std::int64_t>(i)][column].item<double>())}};
        if (i == results.random) {
          Json draws = Json::array();
          for (std::int64_t d = 0; d < measure.draws.size(0); ++d)
            draws.push_back(number(measure.draws[d][column].item<double>()));
          row["draws"] = std::move(draws);
        }
        rows.push_back(std::move(row));
      }
  }
  Json document{{"score", results.score},
                {"units", spec.units},
                {"protect", spec.protect},
                {"removals", removals},
                {"random_draws", spec.random_draws},
                {"resamples", spec.resamples},
                {"confidence", spec.confidence},
                {"seed", seed},
                {"steps", results.steps.size()},
                {"notes", results.notes},
                {"cost",
                 {{"forward_passes", results.work.forward_passes},
                  {"forward_rows", results.work.forward_rows},
                  {"backward_passes", results.work.backward_passes},
                  {"backward_rows", results.work.backward_rows},
                  {"seconds", results.seconds}}},
                {"summary", table}};
  if (with_rows) document["rows"] = rows;
  // Tokens may be cut within a character.
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace whence::host
