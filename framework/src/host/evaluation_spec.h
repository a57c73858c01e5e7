#pragma once

#include <optional>
#include <string>
#include <vector>

#include "host/param_check.h"
#include "whence/value.h"

namespace whence::host {

/// How removed units are taken away: a `removal` of RemovalChoice, and what stands in for them.
struct RemovalSpec {
  std::string removal = "baseline", token;

  /// "delete", "token unk"
  std::string name() const { return token.empty() ? removal : removal + " " + token; }
  bool operator==(const RemovalSpec&) const = default;
};

/// How attributions are evaluated: the key `evaluation` of an experiment.
struct EvaluationSpec {
  std::vector<Choice> metrics;  ///< empty: those of default_metrics
  std::vector<RemovalSpec> removals{{}};
  std::string units = "token", language = "en", protect = "special";  ///< as UnitChoice reads them
  Value spans;
  std::optional<Choice> score;                     ///< absent: what all attributions explain, else the probability
  std::optional<std::vector<Choice>> aggregation;  ///< absent: that of each attribution
  std::int64_t random_draws = 20, resamples = 1000;
  double confidence = 0.95;

  bool operator==(const EvaluationSpec&) const = default;
};

/// Throws ConfigError and UnknownName with the place.
EvaluationSpec parse_evaluation(const Value& value);
/// A removal as users write it: `delete`, or `token: unk`.
RemovalSpec parse_removal(const Value& value);
/// With every default written out, but for the metrics: parses to an equal one.
Value evaluation_value(const EvaluationSpec& spec);

/// All that need no method to be run again, each in its usual form.
const std::vector<std::string>& default_metrics();

/// Parameters as UnitChoice and RemovalChoice read them.
Params unit_params(const EvaluationSpec& spec);
Params removal_params(const RemovalSpec& removal);

}  // namespace whence::host
