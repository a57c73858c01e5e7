#pragma once

#include <optional>

#include "whence/named_spans.h"
#include "whence/params.h"
#include "whence/problem.h"
#include "whence/units.h"

namespace whence {

/// Neighbouring tokens of one side of a sequence that are removed together.
struct RemovableUnit {
  Side side = Side::target;
  Span span;
  std::string name;
};

/// Which units of the texts a method removes, read from its parameters: `units` (a UnitKind, "turn" for what the
/// messages of a chat say, or "span" for `spans`), `language`, `spans` (see read_span_choices) and `protect` ("none",
/// "special" for special tokens, "template" for all markup of a chat, too).
class WHENCE_API UnitChoice {
 public:
  /// Throws ConfigError for parameters that do not go together.
  explicit UnitChoice(const Params& params);

  /// Units of a sequence, those of the source first, ascending: of sides that are attributed, without protected tokens,
  /// and cut behind the last token that a step depends on. Throws InputError for a text without the turns or spans.
  std::vector<RemovableUnit> of(const Problem& problem, std::int64_t sequence) const;

 private:
  std::vector<Label> labels_of(const Problem& problem, const Sequence& sequence, Side side) const;

  std::optional<UnitKind> kind_;  ///< absent: turns, or spans where there are some
  std::string language_, protect_;
  std::vector<SpanChoice> spans_;
};

}  // namespace whence
