#pragma once

#include <functional>
#include <string>
#include <vector>

#include "whence/metric.h"
#include "whence/params.h"

namespace whence {

/// One attribution at one step.
struct MeasuredStep {
  std::int64_t attribution = 0, sequence = 0, step = 0;
};

/// Every step of every text for every attribution, but for steps that see no unit; in the order of Measure::values.
WHENCE_API std::vector<MeasuredStep> measured_steps(const Evaluation& evaluation);
/// Scores of the units that the step sees: [units] double.
WHENCE_API std::vector<double> scores_at(const Evaluation& evaluation, const MeasuredStep& at);
/// The units that the step sees, by falling score. Equal ones are in random order, the same for every attribution, so
/// that no measure mistakes the order of the text for an attribution.
WHENCE_API std::vector<std::int64_t> ranking(const Evaluation& evaluation, const MeasuredStep& at);
/// A measure without numbers: NaN everywhere.
WHENCE_API Measure empty_measure(const Evaluation& evaluation, std::string name, bool higher_is_better);
/// What a measure says of an attribution at a step.
WHENCE_API double& value_at(Measure& measure, const MeasuredStep& at);

/// All units but the first `count` of a ranking, or no others than these.
WHENCE_API Coalition without_first(const Evaluation& evaluation, const MeasuredStep& at,
                                   const std::vector<std::int64_t>& ranking, std::int64_t count);
WHENCE_API Coalition only_first(const Evaluation& evaluation, const MeasuredStep& at,
                                const std::vector<std::int64_t>& ranking, std::int64_t count);

/// Subsets of the units of every text in which each is there with probability `keep`: [texts][samples][units].
WHENCE_API std::vector<std::vector<Coalition>> random_coalitions(const Evaluation& evaluation, std::int64_t samples,
                                                                 double keep);

/// The parameter `scales`: a list of "probability", "log_probability" and "score". Throws UnknownName, ConfigError for
/// an empty one.
WHENCE_API std::vector<ScoreScale> scales_from(const Params& params);
/// `measure` on a scale: "name", "name (log-probability)", "name (score)".
WHENCE_API std::string name_on(const std::string& measure, ScoreScale scale);

}  // namespace whence
