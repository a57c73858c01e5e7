#include "gguf_vocabulary.h"

#include <string_view>

namespace whence::transformer {
namespace {

/// The list under `key`, empty where the file has none.
template <class Element>
std::vector<Element> list(const GgufFile& file, std::string_view key) {
  return file.get<std::vector<Element>>(key).value_or(std::vector<Element>());
}

/// The list of numbers under `key` as bytes.
std::string bytes(const GgufFile& file, std::string_view key) {
  std::string text;
  for (const auto number : list<std::int64_t>(file, key)) text += static_cast<char>(number);
  return text;
}

}  // namespace

GgufVocabulary read_vocabulary(const GgufFile& file) {
  return {
      .origin = file.path().string(),
      .model = file.require<std::string>("tokenizer.ggml.model"),
      .pre = file.get<std::string>("tokenizer.ggml.pre").value_or(""),
      .tokens = file.require<std::vector<std::string>>("tokenizer.ggml.tokens"),
      .scores = list<double>(file, "tokenizer.ggml.scores"),
      .token_types = list<std::int64_t>(file, "tokenizer.ggml.token_type"),
      .merges = list<std::string>(file, "tokenizer.ggml.merges"),
      .bos = file.get<std::int64_t>("tokenizer.ggml.bos_token_id"),
      .eos = file.get<std::int64_t>("tokenizer.ggml.eos_token_id"),
      .unknown = file.get<std::int64_t>("tokenizer.ggml.unknown_token_id"),
      .pad = file.get<std::int64_t>("tokenizer.ggml.padding_token_id"),
      .separator = file.get<std::int64_t>("tokenizer.ggml.seperator_token_id"),
      .add_bos = file.get<bool>("tokenizer.ggml.add_bos_token"),
      .add_eos = file.get<bool>("tokenizer.ggml.add_eos_token"),
      .add_space_prefix = file.get<bool>("tokenizer.ggml.add_space_prefix"),
      .remove_extra_whitespaces = file.get<bool>("tokenizer.ggml.remove_extra_whitespaces"),
      .lowercase = file.get<bool>("tokenizer.ggml.normalizer.lowercase"),
      .strip_accents = file.get<bool>("tokenizer.ggml.normalizer.strip_accents"),
      .charsmap = bytes(file, "tokenizer.ggml.precompiled_charsmap"),
  };
}

}  // namespace whence::transformer
