#include "moses_detokenizer.h"

#include <unicode/unistr.h>
#include <unicode/utf16.h>

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "moses_characters.h"

namespace whence {
namespace {

constexpr std::array<std::pair<const char16_t*, const char16_t*>, 12> kWritten = {{{u" @-@ ", u"-"},
                                                                                   {u"&bar;", u"|"},
                                                                                   {u"&#124;", u"|"},
                                                                                   {u"&lt;", u"<"},
                                                                                   {u"&gt;", u">"},
                                                                                   {u"&bra;", u"["},
                                                                                   {u"&ket;", u"]"},
                                                                                   {u"&quot;", u"\""},
                                                                                   {u"&apos;", u"'"},
                                                                                   {u"&#91;", u"["},
                                                                                   {u"&#93;", u"]"},
                                                                                   {u"&amp;", u"&"}}};

char32_t first_of(std::u16string_view word) {
  UChar32 first = 0;
  U16_GET_OR_FFFD(word.data(), 0, 0, static_cast<std::int32_t>(word.size()), first);
  return static_cast<char32_t>(first);
}

char32_t last_of(std::u16string_view word) {
  UChar32 last = 0;
  const auto size = static_cast<std::int32_t>(word.size());
  U16_GET_OR_FFFD(word.data(), 0, size - 1, size, last);
  return static_cast<char32_t>(last);
}

bool is_made_of(std::u16string_view word, std::u16string_view characters) {
  return word.find_first_not_of(characters) == std::u16string_view::npos;
}

bool opens_an_amount(std::u16string_view word) {
  return std::all_of(word.begin(), word.end(), [](char16_t unit) {
    return std::u16string_view(u"([{¿¡").find(unit) != std::u16string_view::npos || is_of(MosesClass::currency, unit);
  });
}

}  // namespace

std::u16string moses_detokenized(std::u16string_view words, std::string_view language) {
  icu::UnicodeString plain = u" ";
  for (const auto word : split_words(words))
    plain.append(word.data(), static_cast<std::int32_t>(word.size())).append(u' ');
  for (const auto& [written, meant] : kWritten) plain.findAndReplace(written, meant);

  const std::u16string_view units(plain.getBuffer(), static_cast<std::size_t>(plain.length()));
  const auto list = split_words(units);
  std::u16string text;
  std::map<std::u16string_view, int> quotes;  // seen so far
  bool blank = true;                          // before the next word
  for (std::size_t i = 0; i < list.size(); ++i) {
    const auto word = list[i];
    const auto put = [&](bool with_blank, bool blank_after) {
      if (with_blank) text += u' ';
      text += word;
      blank = blank_after;
    };
    if (is_of(MosesClass::east_asian, first_of(word))) {
      put(blank && !(i > 0 && is_of(MosesClass::east_asian, last_of(list[i - 1]))), true);
    } else if (opens_an_amount(word)) {
      put(blank, false);
    } else if (is_made_of(word, u",.?!:;\\%}])")) {
      put(false, true);
    } else if (language == "en" && i > 0 && word[0] == u'\'' && word.size() > 1 &&
               is_of(MosesClass::plain_letter, first_of(word.substr(1)))) {
      put(false, true);
    } else if (is_made_of(word, u"'\"„“`")) {
      int& seen = quotes[is_made_of(word, u"„“”") ? u"\"" : word];
      if (seen % 2 == 0 && language == "en" && word == u"'" && i > 0 && list[i - 1].back() == u's') {
        put(false, true);
      } else {
        const bool opens = seen % 2 == 0;
        put(opens && blank, !opens);
        ++seen;
      }
    } else {
      put(blank, true);
    }
  }
  const auto start = std::find_if_not(text.begin(), text.end(), is_space);
  return {start, text.end()};
}

}  // namespace whence
