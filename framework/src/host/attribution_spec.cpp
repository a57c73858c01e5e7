#include "host/attribution_spec.h"

#include <set>

#include "host/checked_value.h"
#include "host/choice_value.h"

namespace whence::host {
Granularity parse_granularity(const Value& value) {
  return name_from(value, "granularity", {"full", "token"}) == "full" ? Granularity::full : Granularity::token;
}

AttributionSpec parse_attribution(const Value& value) {
  AttributionSpec spec;
  if (!value.is_map()) {
    spec.method = parse_choice(value, "method");
  } else {
    value.require_known_keys(
        {"name", "method", "params", "attributed_function", "step_scores", "aggregation", "granularity"});
    spec.method = parse_choice_with_params(value.at("method"), value.find("params"), "method");
    if (const Value* function = value.find("attributed_function"))
      spec.attributed_function = parse_choice(*function, "step function");
    if (const Value* scores = value.find("step_scores"); scores && !scores->is_null())
      spec.step_scores = parse_choices(*scores, "step function");
    if (const Value* chain = value.find("aggregation"); chain && !chain->is_null())
      spec.aggregation = parse_choices(*chain, "aggregator");
    if (const Value* granularity = value.find("granularity")) spec.granularity = parse_granularity(*granularity);
    if (const Value* name = value.find("name")) spec.name = file_name_from(*name, "name");
  }
  if (spec.name.empty()) spec.name = spec.method.name;
  std::set<std::string> seen;
  for (const Choice& score : spec.step_scores)
    if (!seen.insert(score.name).second)
      throw ConfigError(score.where,
                        "the step score '" + score.name + "' is listed twice; results hold one under each name");
  return spec;
}

Value attribution_value(const AttributionSpec& spec) {
  Value::Map map{{"name", Value(spec.name)},
                 {"method", choice_value(spec.method)},
                 {"attributed_function", choice_value(spec.attributed_function)},
                 {"step_scores", choices_value(spec.step_scores)},
                 {"granularity", Value(std::string(spec.granularity == Granularity::full ? "full" : "token"))}};
  if (spec.aggregation) map.emplace_back("aggregation", choices_value(*spec.aggregation));
  return Value(std::move(map));
}

}  // namespace whence::host
