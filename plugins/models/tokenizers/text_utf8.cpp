#include "text_utf8.h"

#include <utf8proc.h>

namespace whence {
namespace {

/// White space: the separators of Unicode and the control characters that its bidirectional classes count as such.
bool is_space(utf8proc_int32_t character) {
  const auto* property = utf8proc_get_property(character);
  switch (property->category) {
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return true;
    default:
      return property->bidi_class == UTF8PROC_BIDI_CLASS_B || property->bidi_class == UTF8PROC_BIDI_CLASS_S ||
             property->bidi_class == UTF8PROC_BIDI_CLASS_WS;
  }
}

utf8proc_int32_t character_at(std::string_view text, std::size_t start) {
  utf8proc_int32_t character = 0;
  utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + start,
                   static_cast<utf8proc_ssize_t>(text.size() - start), &character);
  return character;
}

bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

}  // namespace

std::optional<std::size_t> first_invalid_byte(std::string_view text) {
  for (std::size_t place = 0; place < text.size();) {
    utf8proc_int32_t character = 0;
    const auto size = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + place,
                                       static_cast<utf8proc_ssize_t>(text.size() - place), &character);
    if (size < 1) return place;
    place += static_cast<std::size_t>(size);
  }
  return std::nullopt;
}

std::vector<std::size_t> character_starts(std::string_view text) {
  std::vector<std::size_t> starts;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!is_continuation(text[i])) starts.push_back(i);
  }
  starts.push_back(text.size());
  return starts;
}

std::string_view stripped(std::string_view text, bool left, bool right) {
  while (left && !text.empty() && is_space(character_at(text, 0))) {
    std::size_t size = 1;
    while (size < text.size() && is_continuation(text[size])) ++size;
    text.remove_prefix(size);
  }
  while (right && !text.empty()) {
    std::size_t start = text.size() - 1;
    while (start > 0 && is_continuation(text[start])) --start;
    if (!is_space(character_at(text, start))) break;
    text.remove_suffix(text.size() - start);
  }
  return text;
}

}  // namespace whence
