#include "sentence_piece_cutter.h"

#include <sentencepiece_processor.h>

#include "checkpoint_files.h"
#include "sentence_piece_model.h"
#include "text_utf8.h"
#include "whence/error.h"

namespace whence {
namespace {

constexpr std::string_view kSpaceMark = "\xE2\x96\x81";

class SentencePieceCutter final : public TextCutter {
 public:
  SentencePieceCutter(const std::filesystem::path& file, PieceStyle style) : origin_(file.string()), style_(style) {
    const auto bytes = read_file(file);
    read_sentence_piece_model(bytes, file);  // the library trusts the file more than this does
    check([&] { return processor_.LoadFromSerializedProto(bytes); });
  }

  std::vector<TextPiece> cut(std::string_view text) const override {
    std::vector<TextPiece> pieces;
    std::size_t start = 0;
    // A language code such as >>fr<< is a token that the model does not know.
    if (style_ == PieceStyle::marian && text.starts_with(">>")) {
      if (const auto end = text.find("<<"); end != std::string_view::npos) {
        start = end + 2;
        pieces.push_back({std::string(text.substr(0, start)), 0, start});
      }
    }
    sentencepiece::ImmutableSentencePieceText encoded;
    check([&] { return processor_.Encode({text.data() + start, text.size() - start}, encoded.mutable_proto()); });
    for (const auto& piece : encoded.pieces())
      pieces.push_back({piece.piece(), start + piece.begin(), start + piece.end()});
    return pieces;
  }

  std::string join(const std::vector<std::string>& pieces, const std::vector<bool>& is_special) const override {
    std::string text;
    std::vector<std::string> group;
    const auto decode_group = [&] {
      std::string part;
      check([&] { return processor_.Decode(group, &part); });
      text += part;
      group.clear();
    };
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      if (!is_special[i]) {
        group.push_back(pieces[i]);
        continue;
      }
      decode_group();
      text += pieces[i];
      if (style_ == PieceStyle::marian) text += ' ';
    }
    decode_group();
    if (style_ == PieceStyle::marian) {
      for (auto mark = text.find(kSpaceMark); mark != std::string::npos; mark = text.find(kSpaceMark, mark))
        text.replace(mark, kSpaceMark.size(), " ");
    }
    return std::string(stripped(text, true, true));
  }

 private:
  /// The library reports some damage with a status and some with an exception.
  template <class Call>
  void check(const Call& call) const {
    std::string what;
    try {
      const auto status = call();
      if (status.ok()) return;
      what = status.ToString();
    } catch (const std::exception& error) {
      what = error.what();
    }
    throw ModelError(origin_ + ": " + what + "; fetch the file again");
  }

  sentencepiece::SentencePieceProcessor processor_;
  std::string origin_;
  PieceStyle style_;
};

}  // namespace

std::shared_ptr<const TextCutter> sentence_piece_cutter(const std::filesystem::path& file, PieceStyle style) {
  return std::make_shared<SentencePieceCutter>(file, style);
}

}  // namespace whence
