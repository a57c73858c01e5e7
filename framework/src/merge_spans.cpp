#include "whence/merge_spans.h"

#include <ATen/ops/cat.h>

#include "whence/error.h"
#include "whence/reduce.h"

namespace whence {
namespace {

std::string text_of(const Span& span) {
  std::string text = "[";
  return text.append(std::to_string(span.start)).append(", ").append(std::to_string(span.end)).append("]");
}

/// How positions [range.start, range.end) fall into merged tokens: one block each, single tokens included, counted from
/// range.start. Spans outside the range are ignored, those that cross its edges are cut.
std::vector<Span> blocks_of(const std::vector<Span>& spans, const Span& range) {
  std::vector<Span> blocks;
  std::int64_t next = range.start;
  const auto add_singles_up_to = [&](std::int64_t end) {
    for (; next < end; ++next) blocks.push_back({next - range.start, next - range.start + 1});
  };
  for (const Span& span : spans) {
    const Span cut{std::max(span.start, range.start), std::min(span.end, range.end)};
    if (cut.size() <= 0) continue;
    add_singles_up_to(cut.start);
    blocks.push_back({cut.start - range.start, cut.end - range.start});
    next = cut.end;
  }
  add_singles_up_to(range.end);
  return blocks;
}

/// Index of the block that holds `position`; the number of blocks when it is past the last.
std::int64_t block_index(const std::vector<Span>& blocks, std::int64_t position) {
  const auto after = std::upper_bound(blocks.begin(), blocks.end(), position,
                                      [](std::int64_t value, const Span& block) { return value < block.end; });
  return after - blocks.begin();
}

/// The merged tokens that a non-empty stretch of tokens touches.
Span moved(const std::vector<Span>& blocks, const Span& span) {
  const std::int64_t start = block_index(blocks, span.start);
  return {start, span.size() > 0 ? block_index(blocks, span.end - 1) + 1 : start};
}

Tensor merge_dim(const Tensor& values, std::int64_t dim, const std::vector<Span>& blocks, std::string_view reduction) {
  if (static_cast<std::int64_t>(blocks.size()) == values.size(dim)) return values;
  std::vector<Tensor> parts;
  std::int64_t singles = 0;  // neighbouring blocks of one token are copied at once
  const auto copy_singles_before = [&](std::int64_t end) {
    if (singles > 0) parts.push_back(values.narrow(dim, end - singles, singles));
    singles = 0;
  };
  for (const Span& block : blocks) {
    if (block.size() == 1) {
      ++singles;
      continue;
    }
    copy_singles_before(block.start);
    parts.push_back(reduce(values.narrow(dim, block.start, block.size()), dim, reduction).unsqueeze(dim));
  }
  copy_singles_before(values.size(dim));
  return at::cat(parts, dim);
}

void merge_tokens(std::vector<Token>& tokens, const std::vector<Span>& blocks) {
  std::vector<Token> merged;
  for (const Span& block : blocks) {
    Token token = tokens[block.start];
    for (std::int64_t i = block.start + 1; i < block.end; ++i) token.text += tokens[i].text;
    if (block.size() > 1) token.id = -1;
    merged.push_back(std::move(token));
  }
  tokens = std::move(merged);
}

}  // namespace

void check_spans(const std::vector<Span>& spans, std::int64_t length, const std::string& side) {
  const std::string rule = "; spans are [start, end) with start < end, ascending and without overlap";
  std::int64_t free_from = 0;
  for (const Span& span : spans) {
    const std::string place = side + "_spans: span " + text_of(span);
    if (span.size() <= 0) throw ConfigError(place + " is empty" + rule);
    if (span.start < 0 || span.end > length)
      throw ConfigError(place + " is outside the " + std::to_string(length) + " " + side + " tokens" + rule);
    if (span.start < free_from) throw ConfigError(place + " overlaps or precedes the span before it" + rule);
    free_from = span.end;
  }
}

void merge_spans(SequenceAttribution& sequence, const MergeRequest& request) {
  check_spans(request.source_spans, std::ssize(sequence.source), "source");
  check_spans(request.target_spans, std::ssize(sequence.target), "target");
  const auto blocks_up_to = [](const std::vector<Span>& spans, std::int64_t length) {
    return blocks_of(spans, {0, length});
  };
  const auto source_blocks = blocks_up_to(request.source_spans, std::ssize(sequence.source));
  const auto target_blocks = blocks_up_to(request.target_spans, std::ssize(sequence.target));
  const auto step_blocks = blocks_of(request.target_spans, sequence.steps);

  // Steps first, then rows: two one-dimensional reductions.
  if (Tensor& scores = sequence.source_attributions; scores.defined())
    scores = merge_dim(merge_dim(scores, 1, step_blocks, request.reduction), 0, source_blocks, request.reduction);
  if (Tensor& scores = sequence.target_attributions; scores.defined())
    scores = merge_dim(merge_dim(scores, 1, step_blocks, request.reduction), 0,
                       blocks_up_to(request.target_spans, scores.size(0)), request.reduction);

  for (auto& [name, scores] : sequence.step_scores) {
    const auto own = sequence.step_score_merges.find(name);
    const std::string& fallback = own != sequence.step_score_merges.end() ? own->second : "absmax";
    scores = merge_dim(scores, 0, step_blocks, request.step_reduction.empty() ? fallback : request.step_reduction);
  }

  for (auto& [name, scores] : sequence.sequence_scores) {
    // Maps within one side have it on both axes; the others have source rows, and steps or target tokens as columns.
    const auto& row_spans = name.starts_with("decoder") ? request.target_spans : request.source_spans;
    scores = merge_dim(scores, 0, blocks_up_to(row_spans, scores.size(0)), request.reduction);
    const bool columns_are_steps =
        !name.starts_with("decoder") && !name.starts_with("encoder") && scores.size(1) == sequence.steps.size();
    const auto& column_spans = name.starts_with("encoder") ? request.source_spans : request.target_spans;
    scores = merge_dim(scores, 1, columns_are_steps ? step_blocks : blocks_up_to(column_spans, scores.size(1)),
                       request.reduction);
  }

  for (Label& label : sequence.source_labels) label.span = moved(source_blocks, label.span);
  for (Label& label : sequence.target_labels) label.span = moved(target_blocks, label.span);
  sequence.steps = moved(target_blocks, sequence.steps);
  merge_tokens(sequence.source, source_blocks);
  merge_tokens(sequence.target, target_blocks);
}

}  // namespace whence
