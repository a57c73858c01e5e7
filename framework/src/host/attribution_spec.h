#pragma once

#include <optional>
#include <string>
#include <vector>

#include "host/param_check.h"
#include "whence/value.h"

namespace whence::host {

/// What a result holds where a method attributes to hidden units.
enum class Granularity {
  token,  ///< one number for each token and step: hidden units are reduced while they are computed
  full,   ///< every hidden unit
};

/// One attribution of an experiment.
struct AttributionSpec {
  std::string name;  ///< file stem of its result; unique
  Choice method;
  Choice attributed_function{"probability", {}, {}};
  std::vector<Choice> step_scores;
  /// Chain for the rendered outputs; absent: the default of the result's granularity. Results are stored without it.
  std::optional<std::vector<Choice>> aggregation;
  Granularity granularity = Granularity::token;

  bool operator==(const AttributionSpec&) const = default;
};

/// A method as `parse_choice` reads it, or a mapping with the keys of `attributions` in docs/experiment-yaml.md. Throws
/// ConfigError and UnknownName.
AttributionSpec parse_attribution(const Value& value);
/// What `parse_attribution` reads as this.
Value attribution_value(const AttributionSpec& spec);
Granularity parse_granularity(const Value& value);

}  // namespace whence::host
