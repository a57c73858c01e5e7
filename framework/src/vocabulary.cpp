#include "whence/vocabulary.h"

#include <unicode/utf8.h>

#include <charconv>
#include <optional>

namespace whence {
namespace {

constexpr std::string_view kMetaspace = "▁", kWordEnd = "</w>", kContinues = "##", kByteOpens = "<0x";

/// Byte-level vocabularies show printable Latin-1 letters as themselves and number the other bytes from U+0100 on.
bool shows_itself(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF);
}

std::optional<char> byte_of(UChar32 letter) {
  if (letter < 0x100) return shows_itself(letter) ? std::optional<char>(static_cast<char>(letter)) : std::nullopt;
  int number = letter - 0x100;
  for (int byte = 0; byte < 0x100; ++byte)
    if (!shows_itself(byte) && number-- == 0) return static_cast<char>(byte);
  return std::nullopt;
}

std::string from_byte_level(std::string_view entry) {
  std::string bytes;
  for (std::size_t at = 0; at < entry.size();) {
    UChar32 letter = -1;
    U8_NEXT(entry.data(), at, entry.size(), letter);
    const auto byte = letter >= 0 ? byte_of(letter) : std::nullopt;
    if (!byte) return std::string(entry);
    bytes += *byte;
  }
  return bytes;
}

/// "<0x0A>" as the byte it names.
std::optional<char> named_byte(std::string_view entry) {
  if (entry.size() != 6 || !entry.starts_with(kByteOpens) || entry.back() != '>') return std::nullopt;
  unsigned byte = 0;
  const char* end = entry.data() + 5;
  const auto [stop, error] = std::from_chars(entry.data() + kByteOpens.size(), end, byte, 16);
  return error == std::errc{} && stop == end ? std::optional(static_cast<char>(byte)) : std::nullopt;
}

std::string from_metaspace(std::string_view entry) {
  if (const auto byte = named_byte(entry)) return std::string(1, *byte);
  std::string text(entry);
  for (std::size_t at = 0; (at = text.find(kMetaspace, at)) != std::string::npos; ++at)
    text.replace(at, kMetaspace.size(), " ");
  return text;
}

}  // namespace

Vocabulary vocabulary_of(const std::vector<Token>& tokens, const std::vector<Token>& others) {
  Vocabulary found = Vocabulary::plain;
  for (const auto* list : {&tokens, &others})
    for (const Token& token : *list) {
      if (token.text.find(kMetaspace) != std::string::npos) return Vocabulary::metaspace;
      if (token.text.starts_with("Ġ") || token.text.starts_with("Ċ")) found = Vocabulary::byte_level;
      if (found != Vocabulary::plain) continue;
      if (token.text.size() > kWordEnd.size() && token.text.ends_with(kWordEnd)) found = Vocabulary::word_end;
      if (token.text.size() > kContinues.size() && token.text.starts_with(kContinues)) found = Vocabulary::word_piece;
    }
  return found;
}

std::string entry_text(std::string_view entry, Vocabulary vocabulary) {
  switch (vocabulary) {
    case Vocabulary::byte_level:
      return from_byte_level(entry);
    case Vocabulary::metaspace:
      return from_metaspace(entry);
    case Vocabulary::word_end:
      if (entry.size() > kWordEnd.size() && entry.ends_with(kWordEnd))
        return std::string(entry.substr(0, entry.size() - kWordEnd.size())) + " ";
      break;
    case Vocabulary::word_piece:
      if (looks_special(entry)) break;
      return entry.starts_with(kContinues) ? std::string(entry.substr(kContinues.size())) : " " + std::string(entry);
    case Vocabulary::plain:
      break;
  }
  return std::string(entry);
}

bool looks_special(std::string_view entry) {
  if (entry.size() < 3 || entry == kWordEnd || named_byte(entry)) return false;
  return (entry.front() == '<' && entry.back() == '>') || (entry.front() == '[' && entry.back() == ']');
}

}  // namespace whence
