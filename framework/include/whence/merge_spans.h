#pragma once

#include <string>
#include <vector>

#include "whence/attribution_output.h"
#include "whence/export.h"

namespace whence {

struct MergeRequest {
  std::vector<Span> source_spans;  ///< ascending, disjoint, within the source
  std::vector<Span> target_spans;  ///< ascending, disjoint, within the target
  std::string reduction = "absmax";
  /// Reduction of step scores; empty: each score's own (`step_score_merges`).
  std::string step_reduction;
};

/// Merges contiguous tokens into one: their texts are joined, their id becomes -1, rows and columns of every tensor are
/// reduced and the step positions move along. Tokens outside the spans stay as they are. Throws ConfigError for a span
/// that is empty, out of range or overlaps another.
WHENCE_API void merge_spans(SequenceAttribution& sequence, const MergeRequest& request);

}  // namespace whence
