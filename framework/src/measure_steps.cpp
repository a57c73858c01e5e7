#include "whence/measure_steps.h"

#include <ATen/ops/full.h>

#include <algorithm>
#include <limits>

#include "whence/error.h"
#include "whence/random_coalition.h"

namespace whence {
namespace {

Coalition coalition(const Evaluation& evaluation, const MeasuredStep& at, const std::vector<std::int64_t>& ranking,
                    std::int64_t count, bool present) {
  Coalition result(evaluation.ablations.units(at.sequence).size(), !present);
  for (std::int64_t i = 0; i < count; ++i)
    result[static_cast<std::size_t>(ranking[static_cast<std::size_t>(i)])] = present;
  return result;
}

}  // namespace

std::vector<MeasuredStep> measured_steps(const Evaluation& evaluation) {
  std::vector<MeasuredStep> result;
  for (std::int64_t a = 0; a < std::ssize(evaluation.attributions); ++a)
    for (std::int64_t b = 0; b < evaluation.ablations.texts(); ++b)
      for (std::int64_t t = 0; t < evaluation.ablations.steps(b); ++t)
        if (evaluation.ablations.seen(b, t) > 0) result.push_back({a, b, t});
  return result;
}

std::vector<double> scores_at(const Evaluation& evaluation, const MeasuredStep& at) {
  const Tensor own = evaluation.attributions[static_cast<std::size_t>(at.attribution)]
                         .scores[static_cast<std::size_t>(at.sequence)]
                         .select(1, at.step)
                         .narrow(0, 0, evaluation.ablations.seen(at.sequence, at.step))
                         .to(at::kDouble)
                         .contiguous();
  return {own.const_data_ptr<double>(), own.const_data_ptr<double>() + own.numel()};
}

std::vector<std::int64_t> ranking(const Evaluation& evaluation, const MeasuredStep& at) {
  const std::vector<double> scores = scores_at(evaluation, at);
  const Tensor drawn =
      evaluation.ablations.problem().random(at.sequence, "equal scores", at.step).permutation(std::ssize(scores));
  std::vector<std::int64_t> order(drawn.const_data_ptr<std::int64_t>(),
                                  drawn.const_data_ptr<std::int64_t>() + drawn.numel());
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)];
  });
  return order;
}

Measure empty_measure(const Evaluation& evaluation, std::string name, bool higher_is_better) {
  return {std::move(name),
          higher_is_better,
          at::full({std::ssize(evaluation.attributions), evaluation.ablations.texts(),
                    evaluation.ablations.problem().steps()},
                   std::numeric_limits<double>::quiet_NaN(), at::kDouble),
          {}};
}

double& value_at(Measure& measure, const MeasuredStep& at) {
  return measure.values.accessor<double, 3>()[at.attribution][at.sequence][at.step];
}

Coalition without_first(const Evaluation& evaluation, const MeasuredStep& at, const std::vector<std::int64_t>& ranking,
                        std::int64_t count) {
  return coalition(evaluation, at, ranking, count, false);
}

Coalition only_first(const Evaluation& evaluation, const MeasuredStep& at, const std::vector<std::int64_t>& ranking,
                     std::int64_t count) {
  return coalition(evaluation, at, ranking, count, true);
}

std::vector<std::vector<Coalition>> random_coalitions(const Evaluation& evaluation, std::int64_t samples, double keep) {
  std::vector<std::vector<Coalition>> result(static_cast<std::size_t>(evaluation.ablations.texts()));
  for (std::int64_t b = 0; b < evaluation.ablations.texts(); ++b)
    for (std::int64_t sample = 0; sample < samples; ++sample)
      result[static_cast<std::size_t>(b)].push_back(
          random_coalition(evaluation.ablations.problem().random(b, "random ablations", sample),
                           std::ssize(evaluation.ablations.units(b)), keep));
  return result;
}

std::vector<ScoreScale> scales_from(const Params& params) {
  std::vector<ScoreScale> scales;
  for (const std::string& name : params.get<std::vector<std::string>>("scales")) {
    if (name == "score")
      scales.push_back(ScoreScale::score);
    else if (name == "probability")
      scales.push_back(ScoreScale::probability);
    else if (name == "log_probability")
      scales.push_back(ScoreScale::log_probability);
    else
      throw UnknownName({}, "scale", name, {"log_probability", "probability", "score"});
  }
  if (scales.empty()) throw ConfigError("scales: names none; expected probability, log_probability or score");
  return scales;
}

std::string name_on(const std::string& measure, ScoreScale scale) {
  return scale == ScoreScale::probability ? measure
                                          : measure + (scale == ScoreScale::score ? " (score)" : " (log-probability)");
}

}  // namespace whence
