#include "vocabulary.h"

#include <utf8proc.h>

#include "text.h"

namespace whence::terminal {
namespace {

constexpr std::string_view kMetaspace = "▁";

/// Byte-level vocabularies show printable Latin-1 letters as themselves and number the other bytes from U+0100 on.
bool shows_itself(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF);
}

std::optional<char> byte_of(utf8proc_int32_t letter) {
  if (letter < 0x100) return shows_itself(letter) ? std::optional<char>(static_cast<char>(letter)) : std::nullopt;
  int number = letter - 0x100;
  for (int byte = 0; byte < 0x100; ++byte)
    if (!shows_itself(byte) && number-- == 0) return static_cast<char>(byte);
  return std::nullopt;
}

std::string from_byte_level(std::string_view entry) {
  std::string bytes;
  for (std::string_view rest = entry; !rest.empty();) {
    utf8proc_int32_t letter = -1;
    const auto size = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(rest.data()),
                                       static_cast<utf8proc_ssize_t>(rest.size()), &letter);
    const auto byte = size > 0 ? byte_of(letter) : std::nullopt;
    if (!byte) return std::string(entry);
    bytes += *byte;
    rest.remove_prefix(static_cast<std::size_t>(size));
  }
  return bytes;
}

}  // namespace

Vocabulary vocabulary_of(const SequenceAttribution& sequence) {
  bool byte_level = false;
  for (const auto* tokens : {&sequence.source, &sequence.target})
    for (const Token& token : *tokens) {
      if (token.text.find(kMetaspace) != std::string::npos) return Vocabulary::metaspace;
      byte_level |= token.text.starts_with("Ġ") || token.text.starts_with("Ċ");
    }
  return byte_level ? Vocabulary::byte_level : Vocabulary::plain;
}

std::string entry_text(std::string_view entry, Vocabulary vocabulary) {
  switch (vocabulary) {
    case Vocabulary::byte_level:
      return from_byte_level(entry);
    case Vocabulary::metaspace:
      return replace_all(entry, kMetaspace, " ");
    case Vocabulary::plain:
      break;
  }
  return std::string(entry);
}

}  // namespace whence::terminal
