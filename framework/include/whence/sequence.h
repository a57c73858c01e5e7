#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "whence/label.h"
#include "whence/span.h"

namespace whence {

/// A token as it is shown and stored. Ids of merged or contrasted tokens are -1.
struct Token {
  std::string text;  ///< raw vocabulary entry, e.g. "Ġhome"
  std::int64_t id = -1;

  bool operator==(const Token&) const = default;
};

/// Another text that a sequence is compared with, step by step. A side that it doesn't give is that of the sequence,
/// and moves with it where a method changes that.
struct Contrast {
  std::vector<Token> source;  ///< empty: the sequence's
  std::vector<Token> target;  ///< empty: the sequence's
  /// Of every explained step the position in `target` of the token it is compared with, at least 1; empty without a
  /// target.
  std::vector<std::int64_t> positions;
};

/// What the scores of the steps of a span come to.
enum class SpanScore { sum, mean };

/// A tokenised text pair. Decoder-only models have no source: their target is prompt + continuation.
struct Sequence {
  std::string id;  ///< stable name within a run; keys randomness, so results don't depend on batch or order
  std::vector<Token> source;
  std::vector<Token> target;
  std::vector<Label> source_labels, target_labels;
  Span steps;  ///< explained target positions, [attr_pos_start, attr_pos_end)
  std::optional<Contrast> contrast;
  /// Spans of target positions that are explained as one each: ascending and disjoint, the first from steps.start, the
  /// last up to steps.end; what lies between them is not explained. Empty: every step is explained by itself.
  std::vector<Span> step_spans = {};
  SpanScore span_score = SpanScore::sum;

  /// T of the sequence: explained spans, or else steps.
  std::int64_t columns() const { return step_spans.empty() ? steps.size() : std::ssize(step_spans); }
  /// The target positions that a column explains.
  Span column(std::int64_t index) const {
    if (step_spans.empty()) return {steps.start + index, steps.start + index + 1};
    return step_spans[static_cast<std::size_t>(index)];
  }
};

}  // namespace whence
