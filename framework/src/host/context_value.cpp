#include "host/context_value.h"

#include <cmath>
#include <set>

#include "host/checked_value.h"
#include "host/choice_value.h"

namespace whence::host {
namespace {

/// The member under `key`, unless it is absent or null.
const Value* given(const Value& value, std::string_view key) {
  const Value* found = value.find(key);
  return found && !found->is_null() ? found : nullptr;
}

void read(const Value& value, std::string_view key, std::string& into) {
  if (const Value* v = given(value, key)) into = v->as_string();
}

void read(const Value& value, std::string_view key, std::optional<std::string>& into) {
  if (const Value* v = given(value, key)) into = v->as_string();
}

void read(const Value& value, std::string_view key, std::vector<std::string>& into) {
  const Value* v = given(value, key);
  if (!v) return;
  into.clear();
  for (const Value& item : one_or_many(*v)) into.push_back(item.as_string());
}

std::optional<ContextTemplate> template_under(const Value& value, std::string_view key) {
  const Value* v = given(value, key);
  if (!v) return {};
  return ContextTemplate{v->as_string(), v->mark()};
}

void read_thresholds(const Value& value, StrongScores& scores) {
  if (const Value* v = given(value, "std")) {
    scores.std_weight = v->as_double();
    if (!std::isfinite(scores.std_weight))
      throw ConfigError(v->mark(), "'std' is no finite number; expected a number of standard deviations, such as 1");
  }
  if (const Value* v = given(value, "top_k")) scores.top_k = integer_from(*v, "top_k", 1);
}

void read_sensitivity(const Value& value, const std::filesystem::path& base, ContextSpec& spec) {
  value.require_known_keys({"metric", "std", "top_k", "alignment"});
  if (const Value* v = given(value, "metric")) spec.sensitivity = parse_choice(*v, "step function");
  if (const Value* v = given(value, "alignment")) spec.alignment = parse_alignment(*v, base);
  read_thresholds(value, spec.sensitive);
}

void read_attribution(const Value& value, ContextSpec& spec) {
  if (value.is_map())
    value.require_known_keys({"method", "params", "attributed_function", "aggregation", "granularity"});
  spec.attribution = parse_attribution(value);
  spec.attribution.name = "cues";
}

void read_cues(const Value& value, ContextSpec& spec) {
  value.require_known_keys({"std", "top_k", "units", "unit_score", "language"});
  read_thresholds(value, spec.cues);
  if (const Value* v = given(value, "units"))
    spec.cue_units = unit_kind(name_from(*v, "kind of unit", {"token", "word", "sentence", "line", "paragraph"}));
  if (const Value* v = given(value, "unit_score")) spec.unit_score = unit_score(v->as_string(), v->mark());
  read(value, "language", spec.unit_language);
}

std::vector<ContextDocument> documents_from(const Value& value) {
  std::vector<ContextDocument> documents;
  for (const Value& item : one_or_many(value)) {
    ContextDocument document;
    if (item.is_map()) {
      item.require_known_keys({"name", "text"});
      read(item, "name", document.name);
      document.text = item.at("text").as_string();
    } else {
      document.text = item.as_string();
    }
    documents.push_back(std::move(document));
  }
  if (documents.empty()) throw ConfigError(value.mark(), "'documents' is empty; give at least one, or leave it out");
  return documents;
}

Value texts_value(const std::vector<std::string>& texts) { return Value(Value::List(texts.begin(), texts.end())); }

void add_thresholds(const StrongScores& scores, Value::Map& map) {
  map.emplace_back("std", Value(scores.std_weight));
  if (scores.top_k) map.emplace_back("top_k", Value(*scores.top_k));
}

}  // namespace

const std::vector<std::string>& context_keys() {
  static const std::vector<std::string> keys{"input_template",
                                             "output_template",
                                             "contextless_input_template",
                                             "contextless_output_template",
                                             "separator",
                                             "sensitivity",
                                             "special_tokens_to_keep",
                                             "output_context_strategy",
                                             "attribution",
                                             "cues",
                                             "document_separator"};
  return keys;
}

ContextSpec parse_context_spec(const Value& value, const std::filesystem::path& base) {
  ContextSpec spec;
  spec.input_template = template_under(value, "input_template");
  spec.output_template = template_under(value, "output_template");
  if (const auto given = template_under(value, "contextless_input_template")) spec.contextless_input = *given;
  if (const auto given = template_under(value, "contextless_output_template")) spec.contextless_output = *given;
  read(value, "separator", spec.separator);
  read(value, "special_tokens_to_keep", spec.special_tokens_to_keep);
  const Value* strategy = given(value, "output_context_strategy");
  spec.output_context =
      strategy ? output_context_strategy(strategy->as_string(), strategy->mark()) : OutputContextStrategy::automatic;
  if (const Value* v = given(value, "sensitivity")) read_sensitivity(*v, base, spec);
  if (const Value* v = given(value, "attribution")) read_attribution(*v, spec);
  if (const Value* v = given(value, "cues")) read_cues(*v, spec);
  read(value, "document_separator", spec.document_separator);
  return spec;
}

Value::Map context_value(const ContextSpec& spec) {
  Value::Map sensitivity{{"metric", choice_value(spec.sensitivity)}, {"alignment", alignment_value(spec.alignment)}};
  add_thresholds(spec.sensitive, sensitivity);
  Value::Map attribution;
  const Value whole = attribution_value(spec.attribution);
  for (const auto& [key, value] : whole.as_map())
    if (key != "name" && key != "step_scores") attribution.emplace_back(key, value);
  Value::Map cues{{"unit_score", Value(name_of(spec.unit_score))}, {"language", Value(spec.unit_language)}};
  if (spec.cue_units) cues.emplace_back("units", Value(name_of(*spec.cue_units)));
  add_thresholds(spec.cues, cues);
  Value::Map map{{"contextless_input_template", Value(spec.contextless_input.text)},
                 {"contextless_output_template", Value(spec.contextless_output.text)},
                 {"separator", Value(spec.separator)},
                 {"special_tokens_to_keep", texts_value(spec.special_tokens_to_keep)},
                 {"output_context_strategy", Value(name_of(spec.output_context))},
                 {"sensitivity", Value(std::move(sensitivity))},
                 {"attribution", Value(std::move(attribution))},
                 {"cues", Value(std::move(cues))},
                 {"document_separator", Value(spec.document_separator)}};
  if (spec.input_template) map.emplace_back("input_template", Value(spec.input_template->text));
  if (spec.output_template) map.emplace_back("output_template", Value(spec.output_template->text));
  return map;
}

ContextInput parse_context_input(const Value& value) {
  ContextInput input;
  input.id.clear();
  input.where = value.mark();
  if (!value.is_map()) {
    input.input_current = value.as_string();
    return input;
  }
  value.require_known_keys({"id", "current", "context", "documents", "output_context", "output_current",
                            "contextless_next_tokens", "src_lang", "tgt_lang"});
  if (const Value* v = given(value, "id")) input.id = v->is_int() ? std::to_string(v->as_int()) : v->as_string();
  input.input_current = value.at("current").as_string();
  read(value, "context", input.input_context);
  if (const Value* v = given(value, "documents")) {
    if (input.input_context)
      throw ConfigError(v->key_mark(), "'context' and 'documents' are given; keep one, since both are the context");
    input.documents = documents_from(*v);
  }
  read(value, "output_context", input.output_context);
  read(value, "output_current", input.output_current);
  read(value, "contextless_next_tokens", input.contextless_next_tokens);
  read(value, "src_lang", input.src_lang);
  read(value, "tgt_lang", input.tgt_lang);
  return input;
}

Value documents_value(const std::vector<ContextDocument>& documents) {
  Value::List list;
  for (const ContextDocument& document : documents)
    list.push_back(Value(Value::Map{{"name", Value(document.name)}, {"text", Value(document.text)}}));
  return Value(std::move(list));
}

Value context_input_value(const ContextInput& input) {
  Value::Map map{{"id", Value(input.id)}, {"current", Value(input.input_current)}};
  if (!input.documents.empty()) map.emplace_back("documents", documents_value(input.documents));
  for (const auto& [key, text] :
       {std::pair("context", &input.input_context), std::pair("output_context", &input.output_context),
        std::pair("output_current", &input.output_current)})
    if (*text) map.emplace_back(key, Value(**text));
  if (!input.contextless_next_tokens.empty())
    map.emplace_back("contextless_next_tokens", texts_value(input.contextless_next_tokens));
  for (const auto& [key, language] : {std::pair("src_lang", &input.src_lang), std::pair("tgt_lang", &input.tgt_lang)})
    if (!language->empty()) map.emplace_back(key, Value(*language));
  return Value(std::move(map));
}

void parse_context(const Value& value, const std::filesystem::path& base, ContextSpec& spec,
                   std::vector<ContextInput>& inputs) {
  std::vector<std::string> known = context_keys();
  known.push_back("inputs");
  value.require_known_keys(known);
  spec = parse_context_spec(value, base);
  std::set<std::string> ids;
  for (const Value& item : one_or_many(value.at("inputs"))) {
    inputs.push_back(parse_context_input(item));
    ContextInput& input = inputs.back();
    if (input.id.empty()) input.id = std::to_string(inputs.size() - 1);
    file_name_from(Value(input.id, item.mark()), "id");
    if (!ids.insert(input.id).second)
      throw ConfigError(item.mark(),
                        "two inputs have the id '" + input.id + "'; ids name the results, so each needs its own");
  }
  if (inputs.empty()) throw ConfigError(value.at("inputs").mark(), "'inputs' is empty; give at least one text");
}

}  // namespace whence::host
