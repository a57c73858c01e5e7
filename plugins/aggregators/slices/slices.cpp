#include <ATen/ops/index_select.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <optional>

#include "whence/aggregator.h"
#include "whence/merge_spans.h"
#include "whence/plugin.h"

namespace {

using whence::Span;
using whence::Tensor;

using Positions = std::vector<std::int64_t>;
using Spans = std::vector<Span>;

std::optional<Spans> spans_from(const whence::Params& params, const std::string& name) {
  return params.has(name) ? std::optional(params.get<Spans>(name)) : std::nullopt;
}

/// Positions of the spans that lie before `end`.
Positions positions_before(std::int64_t end, const Spans& spans) {
  Positions kept;
  for (const Span& span : spans)
    for (std::int64_t i = span.start; i < std::min(span.end, end); ++i) kept.push_back(i);
  return kept;
}

void keep_tokens(std::vector<whence::Token>& tokens, std::vector<whence::Label>& labels, const Positions& kept) {
  std::vector<whence::Token> left;
  for (const std::int64_t position : kept) left.push_back(std::move(tokens[position]));
  tokens = std::move(left);
  const auto moved = [&](std::int64_t position) {
    return std::lower_bound(kept.begin(), kept.end(), position) - kept.begin();
  };
  for (whence::Label& label : labels) label.span = {moved(label.span.start), moved(label.span.end)};
  std::erase_if(labels, [](const whence::Label& label) { return label.span.size() == 0; });
}

/// The kept entries of one dim; positions that it does not reach are left out.
void keep_entries(Tensor& values, std::int64_t dim, const Positions& kept) {
  if (!values.defined()) return;
  const auto end = std::lower_bound(kept.begin(), kept.end(), values.size(dim));
  values = values.index_select(dim, at::tensor(Positions(kept.begin(), end), at::kLong));
}

class Slices final : public whence::Aggregator {
 public:
  explicit Slices(const whence::Params& params)
      : source_spans_(spans_from(params, "source_spans")), target_spans_(spans_from(params, "target_spans")) {}

  void apply(whence::SequenceAttribution& sequence) const override {
    if (source_spans_) {
      whence::check_spans(*source_spans_, std::ssize(sequence.source), "source");
      keep_source(sequence, positions_before(std::ssize(sequence.source), *source_spans_));
    }
    if (target_spans_) {
      whence::check_spans(*target_spans_, std::ssize(sequence.target), "target");
      keep_target(sequence, positions_before(sequence.steps.start, *target_spans_));
    }
  }

 private:
  static void keep_source(whence::SequenceAttribution& sequence, const Positions& kept) {
    keep_tokens(sequence.source, sequence.source_labels, kept);
    keep_entries(sequence.source_attributions, 0, kept);
    for (auto& [name, map] : sequence.sequence_scores) {
      if (!name.starts_with("decoder")) keep_entries(map, 0, kept);
      if (name.starts_with("encoder")) keep_entries(map, 1, kept);
    }
  }

  /// `kept` are those before the explained tokens.
  static void keep_target(whence::SequenceAttribution& sequence, Positions kept) {
    // Of a decoder-only model the source is the prompt.
    if (!sequence.source_attributions.defined() && std::ssize(sequence.source) == sequence.steps.start)
      keep_tokens(sequence.source, sequence.source_labels, kept);
    const std::int64_t before = std::ssize(kept), steps = sequence.steps.size();
    for (std::int64_t i = sequence.steps.start; i < sequence.steps.end; ++i) kept.push_back(i);
    keep_tokens(sequence.target, sequence.target_labels, kept);
    keep_entries(sequence.target_attributions, 0, kept);
    for (auto& [name, map] : sequence.sequence_scores)
      if (name.starts_with("decoder")) {
        keep_entries(map, 0, kept);
        keep_entries(map, 1, kept);
      }
    sequence.steps = {before, before + steps};
  }

  const std::optional<Spans> source_spans_, target_spans_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_aggregator("slices", [](const whence::Params& params) { return std::make_unique<Slices>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
