#include "moses_cutter.h"

#include <unicode/unistr.h>
#include <unicode/utf16.h>

#include <utility>

#include "moses_characters.h"
#include "moses_detokenizer.h"
#include "moses_tokenizer.h"

namespace whence {
namespace {

std::string to_utf8(std::u16string_view text) {
  std::string bytes;
  return icu::UnicodeString(text.data(), static_cast<std::int32_t>(text.size())).toUTF8String(bytes);
}

std::u16string to_utf16(std::string_view text) {
  const auto units = icu::UnicodeString::fromUTF8({text.data(), static_cast<std::int32_t>(text.size())});
  return {units.getBuffer(), static_cast<std::size_t>(units.length())};
}

class MosesCutter final : public TextCutter {
 public:
  MosesCutter(std::shared_ptr<const WordPieces> pieces, const MosesStyle& style)
      : style_(style), moses_(style.language), pieces_(std::move(pieces)) {}

  std::vector<TextPiece> cut(std::string_view text) const override {
    AlignedText aligned = AlignedText::of(text);
    if (style_.normalizes) moses_.normalize(aligned);
    moses_.separate(aligned);
    std::vector<TextPiece> pieces;
    for (const auto word : split_words(aligned.units)) {
      std::size_t unit = word.data() - aligned.units.data();
      for (auto& piece : pieces_->cut(to_utf8(word))) {
        const std::size_t size = units_of(aligned.units, unit, piece.characters.size());
        const Span bytes = hull(aligned.origins, unit, unit + size);
        pieces.push_back(
            {std::move(piece.text), static_cast<std::size_t>(bytes.start), static_cast<std::size_t>(bytes.end)});
        unit += size;
      }
    }
    return pieces;
  }

  std::string join(const std::vector<std::string>& pieces, const std::vector<bool>&) const override {
    constexpr std::string_view kWordEnd = "</w>";
    std::string words;
    for (std::string piece : pieces) {
      std::erase(piece, ' ');
      for (auto at = piece.find(kWordEnd); at != std::string::npos; at = piece.find(kWordEnd, at))
        piece.replace(at, kWordEnd.size(), " ");
      words += piece;
    }
    return to_utf8(moses_detokenized(to_utf16(words), style_.language));
  }

 private:
  /// Code units of the next `characters`.
  static std::size_t units_of(std::u16string_view text, std::size_t start, std::int64_t characters) {
    std::size_t end = start;
    for (; characters > 0; --characters) end += U16_IS_LEAD(text[end]) ? 2 : 1;
    return end - start;
  }

  MosesStyle style_;
  MosesTokenizer moses_;
  std::shared_ptr<const WordPieces> pieces_;
};

}  // namespace

std::shared_ptr<const TextCutter> moses_cutter(std::shared_ptr<const WordPieces> pieces, const MosesStyle& style) {
  return std::make_shared<MosesCutter>(std::move(pieces), style);
}

}  // namespace whence
