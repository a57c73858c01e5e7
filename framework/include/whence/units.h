#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "whence/export.h"
#include "whence/token_text.h"

namespace whence {

/// What a text is cut into; each kind lies within the next.
enum class UnitKind { token, word, sentence, line, paragraph };

/// Throws UnknownName for anything but "token", "word", "sentence", "line" and "paragraph".
WHENCE_API UnitKind unit_kind(std::string_view name);

/// The positions of a text in neighbouring units, each named by what it writes, ascending and without gaps. Words and
/// sentences end where Unicode says (UAX 29, by ICU), and abbreviations of `language` (a code such as "en") end no
/// sentence; paragraphs end at blank lines. A token belongs to the unit in which its first letter lies. Tokens of
/// blanks alone belong to the word behind them, if no newline is between, and else to what stands before them. Special
/// tokens stand alone, without a name. Throws ConfigError where ICU lacks its data.
WHENCE_API std::vector<Label> units_of(const TokenText& text, UnitKind kind, const std::string& language = "en");

}  // namespace whence
