#pragma once

#include <string>
#include <vector>

#include "whence/attribution_output.h"
#include "whence/export.h"

namespace whence {

/// Throws ConfigError for a span that is empty, outside the `length` tokens of a side ("source" or "target"), or that
/// overlaps or precedes the one before it.
WHENCE_API void check_spans(const std::vector<Span>& spans, std::int64_t length, const std::string& side);

struct MergeRequest {
  std::vector<Span> source_spans;  ///< ascending, disjoint, within the source
  std::vector<Span> target_spans;  ///< ascending, disjoint, within the target
  std::string reduction = "absmax";
  /// Reduction of step scores; empty: each score's own (`step_score_merges`).
  std::string step_reduction;
};

/// Merges contiguous tokens into one: their texts are joined, their id becomes -1, rows and columns of every tensor are
/// reduced and the step positions move along. Columns that are as many as the merged steps already stay. Tokens outside
/// the spans stay as they are. Throws ConfigError for a span that is empty, out of range or overlaps another.
WHENCE_API void merge_spans(SequenceAttribution& sequence, const MergeRequest& request);

}  // namespace whence
