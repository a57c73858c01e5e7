#include "whence/units.h"

#include <algorithm>

#include "whence/aggregator.h"
#include "whence/chat_turns.h"
#include "whence/error.h"
#include "whence/merge_spans.h"
#include "whence/plugin.h"

namespace {

using whence::ConfigError;
using whence::Label;
using whence::SequenceAttribution;
using whence::Span;
using whence::Token;

std::vector<Label> turn_units(const std::vector<Label>& labels) {
  std::vector<Label> units;
  for (const whence::ChatTurn& turn : whence::chat_turns(labels))
    for (const Span& span : turn.spans) units.push_back({turn.role + " " + std::to_string(turn.index), span});
  return units;
}

/// Spans that somebody named, of overlapping ones the first.
std::vector<Label> named_units(std::vector<Label> labels) {
  std::erase_if(labels, [](const Label& label) { return label.kind != whence::LabelKind::span; });
  std::stable_sort(labels.begin(), labels.end(),
                   [](const Label& a, const Label& b) { return a.span.start < b.span.start; });
  std::int64_t free_from = 0;
  std::erase_if(labels, [&](const Label& label) {
    if (label.span.size() <= 0 || label.span.start < free_from) return true;
    free_from = label.span.end;
    return false;
  });
  return labels;
}

class Units final : public whence::Aggregator {
 public:
  explicit Units(const whence::Params& params)
      : unit_(params.get<std::string>("unit")),
        language_(params.get<std::string>("language")),
        function_(params.get<std::string>("function")),
        source_(params.get<bool>("aggregate_source")),
        target_(params.get<bool>("aggregate_target")),
        merge_steps_(params.get<bool>("merge_steps")) {}

  void apply(SequenceAttribution& sequence) const override {
    std::vector<Label> source, target;
    if (source_) source = cut(sequence.source, sequence.source_labels);
    if (target_) target = cut(sequence.target, sequence.target_labels);
    if ((unit_ == "turn" || unit_ == "label") && source.empty() && target.empty())
      throw ConfigError(
          unit_ == "turn" ? "units: the text is no chat, so it has no turns; attribute messages, or choose another unit"
                          : "units: no span of the text is named; name spans with the input, or choose another unit");
    if (!merge_steps_) keep_explained(target, sequence.steps);
    whence::MergeRequest request{.source_spans = spans_of(source),
                                 .target_spans = spans_of(target),
                                 .reduction = function_,
                                 .step_reduction = {}};
    whence::merge_spans(sequence, request);
    // Turns and labels are known by their names; other units by what they write.
    if (unit_ != "turn" && unit_ != "label") return;
    name_tokens(sequence.source, source);
    name_tokens(sequence.target, target);
  }

 private:
  std::vector<Label> cut(const std::vector<Token>& tokens, const std::vector<Label>& labels) const {
    if (unit_ == "turn") return turn_units(labels);
    if (unit_ == "label") return named_units(labels);
    return whence::units_of(whence::token_text(tokens), whence::unit_kind(unit_), language_);
  }

  /// Leaves of every unit what stands before the explained tokens.
  static void keep_explained(std::vector<Label>& units, const Span& steps) {
    for (Label& unit : units) unit.span.end = std::min(unit.span.end, steps.start);
    std::erase_if(units, [](const Label& unit) { return unit.span.size() <= 0; });
  }

  static std::vector<Span> spans_of(const std::vector<Label>& units) {
    std::vector<Span> spans;
    for (const Label& unit : units) spans.push_back(unit.span);
    return spans;
  }

  /// Gives the merged tokens of `units`, which are positions before merging, their names.
  static void name_tokens(std::vector<Token>& tokens, const std::vector<Label>& units) {
    std::int64_t merged = 0;  // tokens that went into the units so far, one for each left
    for (const Label& unit : units) {
      Token& token = tokens[unit.span.start - merged];
      token = {unit.name, -1};
      merged += unit.span.size() - 1;
    }
  }

  const std::string unit_, language_, function_;
  const bool source_, target_, merge_steps_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_aggregator("units", [](const whence::Params& params) { return std::make_unique<Units>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
