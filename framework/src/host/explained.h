#pragma once

#include <optional>
#include <string>
#include <vector>

#include "host/catalogue.h"
#include "whence/model.h"
#include "whence/sequence.h"
#include "whence/value.h"

namespace whence::host {

struct Experiment;
struct AttributionSpec;

/// What of the explained positions of a text is explained as one, as the user gives it.
struct ExplainChoice {
  std::string units = "token";  ///< "whole", "turn", a kind of `units_of`, or "span"; "token": every step by itself
  Value spans;                  ///< of "span": what `read_span_choices` reads; null: none
  SpanScore combine = SpanScore::sum;
  std::string language = "en";  ///< whose abbreviations end no sentence
  Mark where;

  bool operator==(const ExplainChoice& other) const;  ///< `where` aside
};

/// The name of a unit, or a mapping with `units` or `spans`, and maybe `combine` and `language`. Throws ConfigError and
/// UnknownName with the place.
ExplainChoice parse_explain(const Value& value);
/// What `parse_explain` reads as this.
Value explain_value(const ExplainChoice& choice);

/// Sets what a sequence explains as one, within its steps: units are cut where these end. With spans the steps shrink
/// to what lies between the first and the last one, and what is left between two neighbours is explained as one, too,
/// so that results have no holes; the spans become labels of the target. Throws InputError, beginning with `place`, for
/// a span that is not in the text, not in the steps or shares a token with another, and for units "turn" where there is
/// no chat.
void set_step_spans(const Model& model, const ExplainChoice& choice, const std::string& place, Sequence& sequence);

/// Throws ConfigError for a method that does not say in its plugin.yaml that it explains spans of steps.
void require_explains_spans(const Catalogue& catalogue, const AttributionSpec& spec, const Mark& where);
/// The same for all methods of an experiment of which an input explains spans.
void check_explained(const Catalogue& catalogue, const Experiment& experiment);
/// Throws ConfigError where an input explains spans, for what is about single steps: `what` says it.
void require_single_steps(const Experiment& experiment, const std::string& what);

}  // namespace whence::host
