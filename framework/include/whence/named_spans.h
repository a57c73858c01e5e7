#pragma once

#include <optional>
#include <string>
#include <vector>

#include "whence/batch.h"
#include "whence/export.h"
#include "whence/token_text.h"
#include "whence/value.h"

namespace whence {

/// A stretch of a text as a user points at it.
struct SpanChoice {
  enum class By {
    text,        ///< wherever `text` stands
    characters,  ///< `range` in characters (Unicode scalar values) of the text that the tokens write
    tokens,      ///< `range` in positions
  };

  By by = By::text;
  std::string text;
  Span range;
  std::string name;          ///< empty: what stands there
  std::optional<Side> side;  ///< of an encoder-decoder; absent: the source
  Mark where;
};

/// A list whose items are texts to look for, or mappings with one of `text`, `characters` and `tokens` (both
/// `[start, end)`), and maybe `name` and `side` (`source` or `target`). Throws ConfigError at the item.
WHENCE_API std::vector<SpanChoice> read_span_choices(const Value& value);

/// Where the choices are in a text, ascending: all tokens that write a letter of them. A text that stands there more
/// than once is as many spans. Throws InputError, beginning with `place`, for a choice that is not there or that
/// overlaps another.
WHENCE_API std::vector<Label> find_spans(const TokenText& text, const std::vector<SpanChoice>& choices,
                                         const std::string& place);

}  // namespace whence
