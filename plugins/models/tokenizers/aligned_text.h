#pragma once

#include <unicode/regex.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "whence/span.h"

namespace whence {

/// A text that is rewritten step by step, with the stretch of the original that each of its code units stands for.
struct AlignedText {
  std::u16string units;
  std::vector<Span> origins;  ///< one for each unit, in bytes of the original

  /// `text` is valid UTF-8.
  static AlignedText of(std::string_view text);

  void append(std::u16string_view text, Span origin);
  void append(const AlignedText& other, std::size_t start, std::size_t end);
};

/// Replaces all matches of a pattern, from the left.
class RewriteRule {
 public:
  /// What a match becomes; "$1" stands for the first group. `at_end`: nothing follows the match.
  using Replacement = std::function<std::u16string(std::u16string_view match, bool at_end)>;

  /// Throws std::logic_error for a pattern that ICU does not take.
  RewriteRule(const std::u16string& pattern, Replacement replacement);
  RewriteRule(const std::u16string& pattern, const char16_t* replacement);

  /// Units of a group keep their origin; what the replacement writes itself stands for the rest of the match.
  void apply(AlignedText& text) const;

 private:
  std::shared_ptr<const icu::RegexPattern> pattern_;
  Replacement replacement_;
};

/// Stretch of the original that units [start, end) stand for.
Span hull(const std::vector<Span>& origins, std::size_t start, std::size_t end);

/// One rule after the other.
void apply(const std::vector<RewriteRule>& rules, AlignedText& text);

}  // namespace whence
