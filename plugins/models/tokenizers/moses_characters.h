#pragma once

#include <unicode/uniset.h>

#include <string>
#include <string_view>
#include <vector>

namespace whence {

/// Classes of characters as sacremoses 0.2 has them: those of a Perl with Unicode 7, without Han and Hangul syllables.
enum class MosesClass {
  letter,           ///< with the viramas and nuktas of Indic scripts
  plain_letter,     ///< without them
  letter_or_digit,  ///< with viramas and nuktas
  number,
  lower,
  currency,
  east_asian,  ///< written without spaces: Han, kana, Hangul, Tangut ...
  space        ///< white space of Python
};

const icu::UnicodeSet& moses_class(MosesClass name);

/// All code points of `text` are of the class.
bool is_all(MosesClass name, std::u16string_view text);
bool is_of(MosesClass name, char32_t character);
bool is_space(char16_t unit);

/// The words between white space.
std::vector<std::u16string_view> split_words(std::u16string_view text);

}  // namespace whence
