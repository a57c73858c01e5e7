#include "host/explained.h"

#include <algorithm>

#include "host/attribution_info.h"
#include "host/experiment.h"
#include "whence/chat_turns.h"
#include "whence/named_spans.h"
#include "whence/units.h"

namespace whence::host {
namespace {

const std::vector<std::string> kUnits{"token", "whole", "word", "sentence", "line", "paragraph", "turn"};

std::string units_from(const Value& value) {
  const std::string& name = value.as_string();
  if (std::ranges::find(kUnits, name) == kUnits.end())
    throw UnknownName(value.mark(), "unit of explained steps", name, kUnits);
  return name;
}

std::string range(const Span& span) { return "[" + std::to_string(span.start) + ", " + std::to_string(span.end) + ")"; }

Span cut(const Span& span, const Span& to) { return {std::max(span.start, to.start), std::min(span.end, to.end)}; }

std::vector<Span> turns_of(const Sequence& sequence, const std::string& place) {
  const std::vector<ChatTurn> turns = chat_turns(sequence.target_labels);
  if (turns.empty())
    throw InputError(place + ": has no turns to explain; give a chat, or choose other units under 'explain'");
  std::vector<Span> spans;
  for (const ChatTurn& turn : turns)
    for (const Span& span : turn.contents)
      if (const Span own = cut(span, sequence.steps); own.size() > 0) spans.push_back(own);
  std::ranges::sort(spans, {}, &Span::start);
  if (spans.empty())
    throw InputError(place + ": no turn says anything in the explained positions " + range(sequence.steps) +
                     "; choose others");
  return spans;
}

/// The spans that the user names, of which those of a text may stand elsewhere, too.
std::vector<Label> named(const TokenText& text, const ExplainChoice& choice, const Sequence& sequence,
                         const std::string& place) {
  std::vector<Label> spans;
  for (const SpanChoice& one : read_span_choices(choice.spans)) {
    if (one.side == Side::source)
      throw ConfigError(one.where,
                        "a span of the source cannot be explained, since steps are of the target; leave "
                        "'side' out");
    const std::vector<Label> found = find_spans(text, {one}, place);
    const std::size_t before = spans.size();
    for (const Label& label : found)
      if (label.span.start >= sequence.steps.start && label.span.end <= sequence.steps.end) spans.push_back(label);
    if (spans.size() == before)
      throw InputError(place + ": the span '" + found.front().name + "' is at " + range(found.front().span) +
                       ", outside of the explained positions " + range(sequence.steps) +
                       "; name what lies in them, or move 'start' and 'end'");
  }
  std::ranges::sort(spans, {}, [](const Label& label) { return label.span.start; });
  for (std::size_t i = 1; i < spans.size(); ++i)
    if (spans[i].span.start < spans[i - 1].span.end)
      throw InputError(place + ": the explained spans '" + spans[i - 1].name + "' and '" + spans[i].name +
                       "' share a token; give spans that do not overlap");
  return spans;
}

/// Spans with what lies between them.
std::vector<Span> without_holes(const std::vector<Span>& spans) {
  std::vector<Span> all;
  for (const Span& span : spans) {
    if (!all.empty() && all.back().end < span.start) all.push_back({all.back().end, span.start});
    all.push_back(span);
  }
  return all;
}

bool explains_spans(const InputText& input) { return input.explain && input.explain->units != "token"; }

}  // namespace

bool ExplainChoice::operator==(const ExplainChoice& other) const {
  return units == other.units && spans == other.spans && combine == other.combine && language == other.language;
}

ExplainChoice parse_explain(const Value& value) {
  ExplainChoice choice;
  choice.where = value.mark();
  if (!value.is_map()) {
    choice.units = units_from(value);
    return choice;
  }
  value.require_known_keys({"units", "spans", "combine", "language"});
  const Value *units = value.find("units"), *spans = value.find("spans");
  if ((units != nullptr) == (spans != nullptr))
    throw ConfigError(value.mark(), "'explain' takes either 'units' or 'spans'; give one of them");
  if (units) choice.units = units_from(*units);
  if (spans) {
    choice.units = "span";
    choice.spans = spans->is_list() ? *spans : Value(Value::List{*spans}, spans->mark());
    if (read_span_choices(choice.spans).empty())
      throw ConfigError(spans->mark(), "'spans' is empty; list what is explained as one");
  }
  if (const Value* combine = value.find("combine")) {
    const std::string& name = combine->as_string();
    if (name != "sum" && name != "mean") throw UnknownName(combine->mark(), "way to combine", name, {"sum", "mean"});
    if (name == "mean") choice.combine = SpanScore::mean;
  }
  if (const Value* language = value.find("language")) choice.language = language->as_string();
  return choice;
}

Value explain_value(const ExplainChoice& choice) {
  Value::Map map;
  if (choice.spans.is_null())
    map.emplace_back("units", Value(choice.units));
  else
    map.emplace_back("spans", choice.spans);
  map.emplace_back("combine", Value(std::string(choice.combine == SpanScore::mean ? "mean" : "sum")));
  map.emplace_back("language", Value(choice.language));
  return Value(std::move(map));
}

void set_step_spans(const Model& model, const ExplainChoice& choice, const std::string& place, Sequence& sequence) {
  if (choice.units == "token") return;
  std::vector<Span> spans;
  if (choice.units == "whole") {
    spans = {sequence.steps};
  } else if (choice.units == "turn") {
    spans = turns_of(sequence, place);
  } else {
    TokenIds ids;
    for (const Token& token : sequence.target) ids.push_back(token.id);
    const TokenText text = token_text(model.tokenizer().on(Side::target), ids);
    if (choice.units == "span") {
      for (Label& label : named(text, choice, sequence, place)) {
        spans.push_back(label.span);
        sequence.target_labels.push_back(std::move(label));
      }
    } else {
      for (const Label& unit : units_of(text, unit_kind(choice.units), choice.language))
        if (const Span own = cut(unit.span, sequence.steps); own.size() > 0) spans.push_back(own);
    }
  }
  sequence.step_spans = without_holes(spans);
  sequence.steps = {spans.front().start, spans.back().end};
  sequence.span_score = choice.combine;
}

void require_explains_spans(const Catalogue& catalogue, const AttributionSpec& spec, const Mark& where) {
  const PluginInfo& method = catalogue.find(PluginKind::method, spec.method.name, spec.method.where);
  if (flag(method, "explains_spans", false)) return;
  throw ConfigError(where, "method '" + spec.method.name +
                               "' explains single steps, not a span of them as one; choose a method of gradients or "
                               "perturbations, such as saliency or leave_one_out, or leave 'explain' out");
}

void check_explained(const Catalogue& catalogue, const Experiment& experiment) {
  for (const InputText& input : experiment.inputs) {
    if (!explains_spans(input)) continue;
    for (const AttributionSpec& spec : experiment.attributions)
      require_explains_spans(catalogue, spec, input.explain->where);
  }
}

void require_single_steps(const Experiment& experiment, const std::string& what) {
  for (const InputText& input : experiment.inputs)
    if (explains_spans(input))
      throw ConfigError(input.explain->where, "input '" + input.id + "' explains spans of steps as one, but " + what +
                                                  "; leave 'explain' out");
}

}  // namespace whence::host
