#include "host/evaluation_spec.h"

#include <set>

#include "host/checked_value.h"
#include "host/choice_value.h"
#include "host/experiment.h"

namespace whence::host {
namespace {

Value text(const std::string& value) { return Value(value); }

}  // namespace

RemovalSpec parse_removal(const Value& value) {
  RemovalSpec spec;
  if (value.is_map()) {
    value.require_known_keys({"token"});
    spec = {"token", value.at("token").as_string()};
    if (spec.token.empty()) throw ConfigError(value.at("token").mark(), "'token' is empty; name what stands in");
  } else {
    spec.removal = name_from(value, "removal", {"baseline", "delete", "mask", "mean", "token", "zero"});
    if (spec.removal == "token") spec.token = "unk";
  }
  return spec;
}

EvaluationSpec parse_evaluation(const Value& value) {
  value.require_known_keys({"metrics", "removals", "units", "language", "protect", "spans", "score", "aggregation",
                            "random_draws", "resamples", "confidence"});
  EvaluationSpec spec;
  if (const Value* v = value.find("metrics"); v && !v->is_null()) {
    spec.metrics = parse_choices(*v, "metric");
    if (spec.metrics.empty()) throw ConfigError(v->mark(), "'metrics' is empty; name one, or leave it out");
  }
  if (const Value* v = value.find("removals"); v && !v->is_null()) {
    spec.removals.clear();
    std::set<std::string> seen;
    for (const Value& item : v->is_list() ? v->as_list() : Value::List{*v}) {
      spec.removals.push_back(parse_removal(item));
      if (!seen.insert(spec.removals.back().name()).second)
        throw ConfigError(item.mark(), "the removal '" + spec.removals.back().name() + "' is listed twice; keep one");
    }
    if (spec.removals.empty()) throw ConfigError(v->mark(), "'removals' is empty; name one, or leave it out");
  }
  if (const Value* v = value.find("units"))
    spec.units = name_from(*v, "kind of unit", {"line", "paragraph", "sentence", "span", "token", "turn", "word"});
  if (const Value* v = value.find("protect"))
    spec.protect = name_from(*v, "way to protect tokens", {"none", "special", "template"});
  if (const Value* v = value.find("language")) spec.language = v->as_string();
  if (const Value* v = value.find("spans")) spec.spans = *v;
  if (const Value* v = value.find("score"); v && !v->is_null()) spec.score = parse_choice(*v, "step function");
  if (const Value* v = value.find("aggregation"); v && !v->is_null())
    spec.aggregation = parse_choices(*v, "aggregator");
  if (const Value* v = value.find("random_draws")) spec.random_draws = integer_from(*v, "random_draws", 1);
  if (const Value* v = value.find("resamples")) spec.resamples = integer_from(*v, "resamples", 1);
  if (const Value* v = value.find("confidence")) {
    spec.confidence = v->as_double();
    if (!(spec.confidence > 0 && spec.confidence < 1))
      throw ConfigError(v->mark(), "'confidence' is no number between 0 and 1, such as 0.95");
  }
  return spec;
}

Value evaluation_value(const EvaluationSpec& spec) {
  Value::List removals;
  for (const RemovalSpec& removal : spec.removals)
    removals.push_back(removal.token.empty() ? text(removal.removal)
                                             : Value(Value::Map{{"token", text(removal.token)}}));
  Value::Map map{{"removals", Value(std::move(removals))},   {"units", text(spec.units)},
                 {"language", text(spec.language)},          {"protect", text(spec.protect)},
                 {"random_draws", Value(spec.random_draws)}, {"resamples", Value(spec.resamples)},
                 {"confidence", Value(spec.confidence)}};
  if (!spec.metrics.empty()) map.emplace_back("metrics", choices_value(spec.metrics));
  if (!spec.spans.is_null()) map.emplace_back("spans", spec.spans);
  if (spec.score) map.emplace_back("score", choice_value(*spec.score));
  if (spec.aggregation) map.emplace_back("aggregation", choices_value(*spec.aggregation));
  return Value(std::move(map));
}

const std::vector<std::string>& default_metrics() {
  static const std::vector<std::string> kMetrics{"comprehensiveness", "sufficiency",        "soft_comprehensiveness",
                                                 "soft_sufficiency",  "perturbation_curve", "lds",
                                                 "infidelity",        "completeness_gap",   "loo_correlation"};
  return kMetrics;
}

Params unit_params(const EvaluationSpec& spec) {
  std::map<std::string, Value, std::less<>> values{{"units", text(spec.units)},
                                                   {"language", text(spec.language)},
                                                   {"protect", text(spec.protect)},
                                                   {"spans", spec.spans}};
  return Params(std::move(values));
}

Params removal_params(const RemovalSpec& removal) {
  return Params(std::map<std::string, Value, std::less<>>{
      {"removal", text(removal.removal)}, {"token", removal.token.empty() ? Value() : text(removal.token)}});
}

}  // namespace whence::host
