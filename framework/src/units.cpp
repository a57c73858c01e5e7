#include "whence/units.h"

#include <unicode/brkiter.h>
#include <unicode/utext.h>

#include <algorithm>
#include <memory>

#include "whence/error.h"

namespace whence {
namespace {

constexpr std::string_view kBlanks = " \t\r\n\f\v";
const std::vector<std::string> kKinds = {"token", "word", "sentence", "line", "paragraph"};  // as UnitKind has them

void require(UErrorCode status, const char* what) {
  if (U_FAILURE(status)) throw ConfigError(std::string("units: ") + what + ": " + u_errorName(status));
}

/// Bytes of `text` before which ICU breaks it.
std::vector<std::int64_t> icu_breaks(const std::string& text, UnitKind kind, const std::string& language) {
  UErrorCode status = U_ZERO_ERROR;
  // "ss" leaves out breaks behind the abbreviations of a language.
  const icu::Locale locale((language + (kind == UnitKind::sentence ? "@ss=standard" : "")).c_str());
  const std::unique_ptr<icu::BreakIterator> iterator(kind == UnitKind::word
                                                         ? icu::BreakIterator::createWordInstance(locale, status)
                                                         : icu::BreakIterator::createSentenceInstance(locale, status));
  require(status, "no rules to cut text by");
  const std::unique_ptr<UText, decltype(&utext_close)> view(
      utext_openUTF8(nullptr, text.data(), std::ssize(text), &status), utext_close);
  require(status, "the text cannot be read");
  iterator->setText(view.get(), status);
  require(status, "the text cannot be read");
  std::vector<std::int64_t> breaks;
  for (std::int32_t at = iterator->first(); at != icu::BreakIterator::DONE; at = iterator->next()) breaks.push_back(at);
  return breaks;
}

/// Bytes behind the newlines, of which there are at least `newlines` in a row but for blanks between them.
std::vector<std::int64_t> newline_breaks(const std::string& text, int newlines) {
  std::vector<std::int64_t> breaks;
  for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos;) {
    const std::size_t end = std::min(text.find_first_not_of(kBlanks, at), text.size());
    if (std::count(text.begin() + at, text.begin() + end, '\n') >= newlines)
      breaks.push_back(static_cast<std::int64_t>(text.rfind('\n', end - 1)) + 1);
    at = end;
  }
  return breaks;
}

/// Bytes before which units of a kind begin, those of the kinds that hold them included.
std::vector<std::int64_t> breaks_of(const std::string& text, UnitKind kind, const std::string& language) {
  std::vector<std::int64_t> breaks = newline_breaks(text, 2);
  const auto add = [&](const std::vector<std::int64_t>& more) {
    breaks.insert(breaks.end(), more.begin(), more.end());
  };
  if (kind <= UnitKind::line) add(newline_breaks(text, 1));
  if (kind <= UnitKind::sentence) add(icu_breaks(text, UnitKind::sentence, language));
  if (kind <= UnitKind::word) add(icu_breaks(text, UnitKind::word, language));
  std::sort(breaks.begin(), breaks.end());
  return breaks;
}

std::string stripped(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return std::string(text);
  return std::string(text.substr(first, text.find_last_not_of(kBlanks) + 1 - first));
}

}  // namespace

UnitKind unit_kind(std::string_view name) {
  const auto found = std::find(kKinds.begin(), kKinds.end(), name);
  if (found == kKinds.end()) throw UnknownName({}, "unit", name, kKinds);
  return static_cast<UnitKind>(found - kKinds.begin());
}

std::vector<Label> units_of(const TokenText& text, UnitKind kind, const std::string& language) {
  const std::vector<std::int64_t> breaks =
      kind == UnitKind::token ? std::vector<std::int64_t>{} : breaks_of(text.text, kind, language);
  std::vector<Label> units;
  std::ptrdiff_t last = -1;  // break before the last letter
  for (std::size_t i = 0; i < text.bytes.size(); ++i) {
    const auto position = static_cast<std::int64_t>(i);
    const auto start = static_cast<std::size_t>(text.bytes[i].start), end = static_cast<std::size_t>(text.bytes[i].end);
    const std::size_t letter = std::min(text.text.find_first_not_of(kBlanks, start), text.text.size());
    const bool alone = kind == UnitKind::token || text.special[i] || (i > 0 && text.special[i - 1]);
    const bool opens_word = kind == UnitKind::word && letter < text.text.size() && text.text.find('\n', start) >= end;
    if (letter >= end && !opens_word && !alone && !units.empty()) {
      units.back().span.end = position + 1;
      continue;
    }
    const std::ptrdiff_t own =
        std::upper_bound(breaks.begin(), breaks.end(), static_cast<std::int64_t>(letter)) - breaks.begin();
    if (units.empty() || alone || own != last) units.push_back({"", {position, position}});
    last = own;
    units.back().span.end = position + 1;
  }
  for (Label& unit : units) {
    const Span& first = text.bytes[unit.span.start];
    unit.name = stripped(text.text.substr(first.start, text.bytes[unit.span.end - 1].end - first.start));
  }
  return units;
}

}  // namespace whence
