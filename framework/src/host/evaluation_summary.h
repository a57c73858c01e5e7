#pragma once

#include <string>
#include <vector>

#include "host/evaluation.h"

namespace whence::host {

/// A mean over steps with the interval that resampling gives it.
struct Estimate {
  double mean = 0, low = 0, high = 0;  ///< NaN without steps
  std::int64_t steps = 0;              ///< that have a number
};

/// One attribution or baseline under one measure.
struct EvaluationRow {
  std::size_t measure = 0, attribution = 0;  ///< of EvaluatedResults::measures and names
  Estimate value;
  Estimate over_random;  ///< its difference to the random baseline, over the steps where both have a number
};

/// Paired bootstrap over the steps of all texts: every measure and attribution is averaged over the same draws of
/// steps, `resamples` times, and the interval holds the share `confidence` of these means (percentiles). Depends on the
/// results, the seed and these numbers alone.
std::vector<EvaluationRow> summarize(const EvaluatedResults& results, std::int64_t resamples, double confidence,
                                     std::uint64_t seed);

/// Settings, summary and one row for each text, step, measure and attribution, as JSON text; docs/evaluation.md.
std::string evaluation_json(const EvaluatedResults& results, const std::vector<EvaluationRow>& summary,
                            const EvaluationSpec& spec, std::uint64_t seed, bool with_rows);

}  // namespace whence::host
