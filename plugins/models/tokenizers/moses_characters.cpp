#include "moses_characters.h"

#include <array>
#include <stdexcept>

namespace whence {
namespace {

/// What the Perl of that time called alphabetic, or together with digits; `%` is the property.
constexpr const char16_t* kLetters =
    u"[[%&[:Age=7.0:]&[\\u0000-\\uFFFF]]-[:Han:]-[\\uAC00-\\uD7A3]-[\\u0F82\\u0F83\\u1063\\u1064\\u1069-\\u106D"
    u"\\u1087-\\u108D\\u108F\\u109A\\u109B\\u1C36\\uA802\\uA80B\\uA9E5\\uAA7B-\\uAA7D][\\u135F\\u25CC]]";
constexpr const char16_t* kIndicSigns =
    u"[\\u094D\\u09CD\\u0A4D\\u0ACD\\u0B4D\\u0BCD\\u0C4D\\u0CCD\\u0D3B\\u0D3C\\u0D4D\\u0EBA\\u1039\\u1714\\u1BAB\\uA8C4"
    u"\\uA8F3\\uA8F4\\uA953\\uAAF6\\u0DCA\\u093C\\u09BC\\u0A3C\\u0ABC\\u0AFD-\\u0AFF\\u0B3C\\u0CBC\\u1C37"
    u"\\U00010A3F\\U00011046\\U000110B9\\U000110BA\\U00011133\\U00011173\\U000111C0\\U000111CA\\U00011235\\U00011236"
    u"\\U000112E9\\U000112EA\\U0001133C\\U0001134D\\U00011442\\U00011446\\U000114C2\\U000114C3\\U000115BF\\U000115C0"
    u"\\U0001163F\\U000116B6\\U000116B7\\U00011839\\U0001183A\\U000119E0\\U00011A34\\U00011C3F\\U00011D42\\U00011D45"
    u"\\U00011D97\\U0001E94A]";
constexpr const char16_t* kNumbers = u"[[[:N:]&[:Age=7.0:]&[\\u0000-\\uFFFF]]-[\\u3007\\u3021-\\u3029\\u3038-\\u303A]]";
constexpr const char16_t* kLower = u"[[[:Lowercase:]&[:Age=9.0:]]-[\\u10D0-\\u10FA\\u10FC-\\u10FF][\\u25CC]]";
constexpr const char16_t* kCurrency = u"[[:Sc:]&[:Age=7.0:]]";
constexpr const char16_t* kEastAsian =
    u"[\\u1100-\\u11FF\\u2E80-\\uA4CF\\uA840-\\uA87F\\uAC00-\\uD7AF\\uF900-\\uFAFF\\uFE30-\\uFE4F\\uFF65-\\uFFDC"
    u"\\U00017000-\\U00018AFF\\U0001B000-\\U0001B12F\\U0001B170-\\U0001B2FF\\U00020000-\\U0002FFFF]";
constexpr const char16_t* kSpace =
    u"[\\u0009-\\u000D\\u001C-\\u0020\\u0085\\u00A0\\u1680\\u2000-\\u200A\\u2028\\u2029\\u202F\\u205F\\u3000]";

std::u16string letters(const char16_t* property) {
  std::u16string pattern = kLetters;
  return pattern.replace(pattern.find(u'%'), 1, property);
}

std::u16string pattern_of(MosesClass name) {
  switch (name) {
    case MosesClass::letter:
      return u"[" + letters(u"[:Alphabetic:]") + kIndicSigns + u"]";
    case MosesClass::plain_letter:
      return letters(u"[:Alphabetic:]");
    case MosesClass::letter_or_digit:
      return u"[" + letters(u"[[:Alphabetic:][:Nd:]]") + kIndicSigns + u"]";
    case MosesClass::number:
      return kNumbers;
    case MosesClass::lower:
      return kLower;
    case MosesClass::currency:
      return kCurrency;
    case MosesClass::east_asian:
      return kEastAsian;
    case MosesClass::space:
      return kSpace;
  }
  throw std::logic_error("unknown class of characters");
}

icu::UnicodeSet make(MosesClass name) {
  UErrorCode status = U_ZERO_ERROR;
  const std::u16string pattern = pattern_of(name);
  icu::UnicodeSet set(icu::UnicodeString(pattern.data(), static_cast<std::int32_t>(pattern.size())), status);
  if (U_FAILURE(status)) throw std::logic_error(std::string("class of characters: ") + u_errorName(status));
  set.freeze();
  return set;
}

}  // namespace

const icu::UnicodeSet& moses_class(MosesClass name) {
  using enum MosesClass;
  static const std::array sets = {make(letter), make(plain_letter), make(letter_or_digit), make(number),
                                  make(lower),  make(currency),     make(east_asian),      make(space)};
  return sets[static_cast<std::size_t>(name)];
}

bool is_all(MosesClass name, std::u16string_view text) {
  const auto size = static_cast<std::int32_t>(text.size());
  return moses_class(name).span(text.data(), size, USET_SPAN_CONTAINED) == size;
}

bool is_of(MosesClass name, char32_t character) {
  return moses_class(name).contains(static_cast<UChar32>(character)) != 0;
}

bool is_space(char16_t unit) { return is_of(MosesClass::space, unit); }

std::vector<std::u16string_view> split_words(std::u16string_view text) {
  std::vector<std::u16string_view> words;
  for (std::size_t end = 0; end < text.size();) {
    std::size_t start = end;
    while (start < text.size() && is_space(text[start])) ++start;
    for (end = start; end < text.size() && !is_space(text[end]);) ++end;
    if (end > start) words.push_back(text.substr(start, end - start));
  }
  return words;
}

}  // namespace whence
