#include "whence/removable_units.h"

#include <algorithm>

#include "whence/chat_turns.h"
#include "whence/error.h"

namespace whence {
namespace {

TokenIds ids_of(const std::vector<Token>& tokens) {
  TokenIds ids;
  for (const Token& token : tokens) ids.push_back(token.id);
  return ids;
}

}  // namespace

UnitChoice::UnitChoice(const Params& params)
    : language_(params.get<std::string>("language")), protect_(params.get<std::string>("protect")) {
  const auto units = params.get<std::string>("units");
  if (units != "turn" && units != "span") kind_ = unit_kind(units);
  if (params.has("spans")) spans_ = read_span_choices(params.get<Value>("spans"));
  if ((units == "span") != !spans_.empty())
    throw ConfigError(spans_.empty() ? "units: span needs the parameter spans; list the spans there"
                                     : "spans: have no effect with units: " + units + "; choose units: span");
}

std::vector<Label> UnitChoice::labels_of(const Problem& problem, const Sequence& sequence, Side side) const {
  const bool source = side == Side::source;
  const std::vector<Token>& tokens = source ? sequence.source : sequence.target;
  const TokenText text = token_text(problem.model().tokenizer().on(side), ids_of(tokens));
  const std::string place = "sequence '" + sequence.id + "'";
  const std::vector<ChatTurn> turns = chat_turns(source ? sequence.source_labels : sequence.target_labels);
  std::vector<Label> units;
  if (kind_) {
    units = units_of(text, *kind_, language_);
  } else if (spans_.empty()) {
    if (turns.empty()) throw InputError(place + ": has no turns to remove; give a chat, or choose other units");
    for (const ChatTurn& turn : turns)
      for (const Span& span : turn.contents) units.push_back({turn.role + " " + std::to_string(turn.index), span});
  } else {
    std::vector<SpanChoice> own;
    const Side usual = sequence.source.empty() ? Side::target : Side::source;
    for (const SpanChoice& choice : spans_)
      if (choice.side.value_or(usual) == side) own.push_back(choice);
    units = find_spans(text, own, place);
  }
  // Protected tokens cut units in two.
  std::vector<Label> result;
  for (const Label& unit : units) {
    const auto is_protected = [&](std::int64_t position) {
      if (protect_ == "none") return false;
      const auto says = [&](const ChatTurn& turn) {
        return std::any_of(turn.contents.begin(), turn.contents.end(),
                           [&](const Span& span) { return position >= span.start && position < span.end; });
      };
      const bool markup = protect_ == "template" && !turns.empty() && std::none_of(turns.begin(), turns.end(), says);
      return markup || text.special[static_cast<std::size_t>(position)];
    };
    bool open = false;
    for (std::int64_t i = unit.span.start; i < unit.span.end; ++i) {
      if (is_protected(i)) {
        open = false;
        continue;
      }
      if (!open) result.push_back({unit.name.empty() ? tokens[static_cast<std::size_t>(i)].text : unit.name, {i, i}});
      open = true;
      result.back().span.end = i + 1;
    }
  }
  return result;
}

std::vector<RemovableUnit> UnitChoice::of(const Problem& problem, std::int64_t sequence) const {
  const Sequence& own = problem.sequences()[static_cast<std::size_t>(sequence)];
  std::vector<RemovableUnit> units;
  for (const Side side : {Side::source, Side::target}) {
    if (!problem.attributes(side)) continue;
    const std::int64_t end = side == Side::source ? std::ssize(own.source) : own.steps.end - 1;
    for (Label& unit : labels_of(problem, own, side))
      if (unit.span.start < end)
        units.push_back({side, {unit.span.start, std::min(unit.span.end, end)}, std::move(unit.name)});
  }
  return units;
}

}  // namespace whence
