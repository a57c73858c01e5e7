#include "whence/tokenizer.h"

namespace whence {

Tokenizer::~Tokenizer() = default;

std::vector<Encoding> Tokenizer::encode_batch(const std::vector<std::string>& texts,
                                              const EncodeOptions& options) const {
  std::vector<Encoding> encodings;
  encodings.reserve(texts.size());
  for (const auto& text : texts) encodings.push_back(encode(text, options));
  return encodings;
}

const Tokenizer& Tokenizer::on(Side) const { return *this; }

std::optional<std::int64_t> Tokenizer::language_id(std::string_view) const { return std::nullopt; }

}  // namespace whence
