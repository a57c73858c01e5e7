#include "moses_tokenizer.h"

#include <unicode/utf16.h>

#include <algorithm>
#include <string>

#include "moses_characters.h"

namespace whence {
namespace {

/// A pattern in which "@L", "@A", "@N", "@S" stand for letters, letters and digits, numbers, white space.
std::u16string pattern(std::u16string text) {
  for (std::size_t at = text.find(u'@'); at != std::u16string::npos; at = text.find(u'@', at + 1)) {
    const auto name = text[at + 1] == u'L'   ? MosesClass::letter
                      : text[at + 1] == u'A' ? MosesClass::letter_or_digit
                      : text[at + 1] == u'N' ? MosesClass::number
                                             : MosesClass::space;
    icu::UnicodeString set;
    moses_class(name).toPattern(set, true);
    text.replace(at, 2, set.getBuffer(), set.length());
    at += set.length() - 1;
  }
  return text;
}

RewriteRule rule(const char16_t* text, const char16_t* replacement) { return {pattern(text), replacement}; }

/// Wide punctuation and what stands for it.
constexpr std::u16string_view kWide = u"，、”“《》」「∶：？）！（；０１２３４５６７８９～’━〈〉【】％";
constexpr std::u16string_view kPlain = u",,\"\"\"\"\"\"::?)!(;0123456789~'-<>[]%";

std::vector<RewriteRule> normalization(std::string_view language) {
  std::vector<RewriteRule> rules = {
      {u"[" + std::u16string(kWide) + u"]",
       [](std::u16string_view match, bool) { return std::u16string(1, kPlain[kWide.find(match)]); }},
      rule(u"[。．]@S*", u". "),
      rule(u"…", u"..."),
      // Parentheses and what stands beside them.
      rule(u"\\r", u""),
      rule(u"\\(", u" ("),
      rule(u"\\)", u") "),
      rule(u" +", u" "),
      rule(u"\\) ([.!:?;,])", u")$1"),
      rule(u"\\( ", u"("),
      rule(u" \\)", u")"),
      rule(u"(\\p{Nd}) %", u"$1%"),
      rule(u" ([:;])", u"$1"),
      // Quotes and dashes.
      rule(u"`", u"'"),
      rule(u"''", u" \" "),
      rule(u"„", u"\""),
      rule(u"–", u"-"),
      rule(u"—", u" - "),
      rule(u" +", u" "),
      rule(u"[´‘‚]", u"'"),
      rule(u"''", u"\""),
      rule(u"\\u00A0«\\u00A0|«\\u00A0?", u"\""),
      rule(u"\\u00A0»\\u00A0|\\u00A0?»", u"\""),
      // Spaces that do not break.
      rule(u"\\u00A0%", u"%"),
      rule(u"nº\\u00A0", u"nº "),
      rule(u"\\u00A0:", u":"),
      rule(u"\\u00A0(ºC|cm)", u" $1"),
      rule(u"\\u00A0([?!;])", u"$1"),
      rule(u",\\u00A0", u", "),
      rule(u" +", u" "),
  };
  if (language == "en") rules.push_back(rule(u"\"([,.]+)", u"$1\""));
  if (language == "de") {
    rules.push_back(rule(u",\"", u"\","));
    rules.push_back(rule(u"(\\.+)\"(@S*[^<])", u"\"$1$2"));
  }
  rules.push_back(rule(u"(\\p{Nd})\\u00A0(\\p{Nd})", language == "de" ? u"$1,$2" : u"$1.$2"));
  rules.push_back(rule(u"^@S+|@S+$", u""));
  rules.push_back(rule(u"[\\p{C}\\P{Age=14.0}]", u""));  // unassigned for the Python of the stored cases
  return rules;
}

std::vector<RewriteRule> before_full_stops(std::string_view language) {
  std::vector<RewriteRule> rules = {
      rule(u"@S+", u" "),
      rule(u"[\\u0000-\\u001F]", u""),
      rule(u"^@S+|@S+$", u""),
      rule(u"([^@A@S.'`,\\-])", u" $1 "),
      rule(u"(@A)-(?=@A)", u"$1 @-@ "),
      // Several full stops stay together: they are words until the end.
      {u"\\.{2,}",
       [](std::u16string_view match, bool at_end) {
         std::u16string word = u" ";
         for (std::size_t i = 0; i < match.size(); ++i) word += u"DOT";
         return word + (at_end ? u"MULTI" : u"MULTI ");
       }},
      rule(u"([^@N]),", u"$1 , "),
      rule(u",([^@N])", u" , $1"),
      rule(u"(@N),$", u"$1 , "),
  };
  if (language == "en") {
    rules.push_back(rule(u"([^@L])'([^@L])", u"$1 ' $2"));
    rules.push_back(rule(u"([^@L@N])'(@L)", u"$1 ' $2"));
    rules.push_back(rule(u"(@L)'([^@L])", u"$1 ' $2"));
    rules.push_back(rule(u"(@L)'(@L)", u"$1 '$2"));
    rules.push_back(rule(u"(@N)'(s)", u"$1 '$2"));
  } else {
    rules.push_back(rule(u"'", u" ' "));
  }
  return rules;
}

std::vector<RewriteRule> after_full_stops() {
  return {
      rule(u"@S+", u" "),
      rule(u"^@S+|@S+$", u""),
      rule(u"\\.' ?$", u" . ' "),
      {u"(?:DOT)+MULTI", [](std::u16string_view match, bool) { return std::u16string((match.size() - 5) / 3, u'.'); }},
      rule(u"&", u"&amp;"),
      rule(u"\\|", u"&#124;"),
      rule(u"<", u"&lt;"),
      rule(u">", u"&gt;"),
      rule(u"'", u"&apos;"),
      rule(u"\"", u"&quot;"),
      rule(u"\\[", u"&#91;"),
      rule(u"\\]", u"&#93;"),
  };
}

bool has_letter(std::u16string_view text) {
  const auto size = static_cast<std::int32_t>(text.size());
  return moses_class(MosesClass::letter).span(text.data(), size, USET_SPAN_NOT_CONTAINED) < size;
}

bool starts_lower(std::u16string_view word) {
  UChar32 first = 0;
  U16_GET_OR_FFFD(word.data(), 0, 0, static_cast<std::int32_t>(word.size()), first);
  return is_of(MosesClass::lower, first);
}

}  // namespace

MosesTokenizer::MosesTokenizer(std::string_view language)
    : normalization_(normalization(language)),
      before_full_stops_(before_full_stops(language)),
      after_full_stops_(after_full_stops()),
      prefixes_(moses_prefixes(language)) {}

void MosesTokenizer::normalize(AlignedText& text) const { apply(normalization_, text); }

void MosesTokenizer::separate(AlignedText& text) const {
  apply(before_full_stops_, text);
  separate_full_stops(text);
  apply(after_full_stops_, text);
}

/// Cuts a full stop off its word, except behind abbreviations, letters with full stops, and before lower case.
void MosesTokenizer::separate_full_stops(AlignedText& text) const {
  const auto words = split_words(text.units);
  AlignedText result;
  std::size_t rest = 0;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i].size() < 2 || words[i].back() != u'.') continue;
    const auto prefix = words[i].substr(0, words[i].size() - 1);
    const bool has_next = i + 1 < words.size();
    if (prefix.find(u'.') != std::u16string_view::npos && has_letter(prefix)) continue;
    if (prefixes_.always.contains(prefix)) continue;
    if (has_next && starts_lower(words[i + 1])) continue;
    if (prefixes_.before_digits.contains(prefix) && has_next && words[i + 1][0] >= u'0' && words[i + 1][0] <= u'9')
      continue;
    const std::size_t stop = words[i].data() + prefix.size() - text.units.data();
    result.append(text, rest, stop);
    result.append(u" ", {text.origins[stop].start, text.origins[stop].start});
    rest = stop;
  }
  result.append(text, rest, text.units.size());
  text = std::move(result);
}

}  // namespace whence
