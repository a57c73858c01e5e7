#include "aligned_text.h"

#include <unicode/utf16.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "whence/error.h"

namespace whence {
namespace {

/// Stretch of the original that units [start, end) stand for, without those for which `skip` holds.
template <class Skip>
Span hull(const std::vector<Span>& origins, std::size_t start, std::size_t end, const Skip& skip) {
  Span whole = start < origins.size() ? Span{origins[start].start, origins[start].start} : Span{};
  bool is_first = true;
  for (std::size_t i = start; i < end; ++i) {
    if (skip(i) || origins[i].size() == 0) continue;
    whole = is_first ? origins[i] : Span{std::min(whole.start, origins[i].start), std::max(whole.end, origins[i].end)};
    is_first = false;
  }
  return whole;
}

void append_replacement(const AlignedText& text, icu::RegexMatcher& match, const std::u16string& replacement,
                        UErrorCode& status, AlignedText& result) {
  const std::size_t start = match.start(status), end = match.end(status);
  const auto group_of = [&](std::size_t i) {
    return replacement[i] == u'$' && i + 1 < replacement.size() ? replacement[i + 1] - u'0' : 0;
  };
  const auto is_in_group = [&](std::size_t unit) {
    for (std::size_t i = 0; i < replacement.size(); ++i) {
      const int group = group_of(i);
      const auto at = static_cast<std::int32_t>(unit);
      if (group > 0 && at >= match.start(group, status) && at < match.end(group, status)) return true;
    }
    return false;
  };
  const Span origin = hull(text.origins, start, end, is_in_group);
  for (std::size_t i = 0; i < replacement.size(); ++i) {
    if (const int group = group_of(i); group > 0) {
      result.append(text, match.start(group, status), match.end(group, status));
      ++i;
    } else {
      result.append({&replacement[i], 1}, origin);
    }
  }
}

}  // namespace

AlignedText AlignedText::of(std::string_view text) {
  AlignedText aligned;
  const auto size = static_cast<std::int32_t>(text.size());
  for (std::int32_t end = 0; end < size;) {
    const std::int32_t start = end;
    UChar32 character = 0;
    U8_NEXT(text.data(), end, size, character);
    char16_t units[U16_MAX_LENGTH];
    std::int32_t count = 0;
    U16_APPEND_UNSAFE(units, count, character);
    aligned.append({units, static_cast<std::size_t>(count)}, {start, end});
  }
  return aligned;
}

void AlignedText::append(std::u16string_view text, Span origin) {
  units += text;
  origins.insert(origins.end(), text.size(), origin);
}

void AlignedText::append(const AlignedText& other, std::size_t start, std::size_t end) {
  units.append(other.units, start, end - start);
  origins.insert(origins.end(), other.origins.begin() + static_cast<std::ptrdiff_t>(start),
                 other.origins.begin() + static_cast<std::ptrdiff_t>(end));
}

RewriteRule::RewriteRule(const std::u16string& pattern, Replacement replacement)
    : replacement_(std::move(replacement)) {
  UErrorCode status = U_ZERO_ERROR;
  UParseError place;
  pattern_.reset(icu::RegexPattern::compile(icu::UnicodeString(pattern.data(), std::ssize(pattern)), place, status));
  if (U_FAILURE(status)) {
    std::string text;
    throw std::logic_error("pattern " + icu::UnicodeString(pattern.data(), std::ssize(pattern)).toUTF8String(text) +
                           ": " + u_errorName(status));
  }
}

RewriteRule::RewriteRule(const std::u16string& pattern, const char16_t* replacement)
    : RewriteRule(pattern, [text = std::u16string(replacement)](std::u16string_view, bool) { return text; }) {}

void RewriteRule::apply(AlignedText& text) const {
  UErrorCode status = U_ZERO_ERROR;
  const auto size = static_cast<std::int32_t>(text.units.size());
  const icu::UnicodeString whole(false, text.units.data(), size);
  const std::unique_ptr<icu::RegexMatcher> match(pattern_->matcher(whole, status));
  AlignedText result;
  std::int32_t rest = 0;
  while (U_SUCCESS(status) && match->find(status)) {
    const std::int32_t start = match->start(status), end = match->end(status);
    result.append(text, rest, start);
    append_replacement(
        text, *match,
        replacement_(std::u16string_view(text.units).substr(start, static_cast<std::size_t>(end - start)), end == size),
        status, result);
    rest = end;
  }
  if (U_FAILURE(status))
    throw InputError(std::string("text: the tokenizer cannot search it (") + u_errorName(status) +
                     "); shorten the text");
  result.append(text, rest, size);
  text = std::move(result);
}

Span hull(const std::vector<Span>& origins, std::size_t start, std::size_t end) {
  return hull(origins, start, end, [](std::size_t) { return false; });
}

void apply(const std::vector<RewriteRule>& rules, AlignedText& text) {
  for (const RewriteRule& rule : rules) rule.apply(text);
}

}  // namespace whence
