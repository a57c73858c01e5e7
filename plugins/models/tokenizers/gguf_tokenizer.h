#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "whence/tokenizer.h"

namespace whence {

/// The keys `tokenizer.ggml.*` of a GGUF file, as they stand there.
struct GgufVocabulary {
  std::string origin;  ///< the file, for messages
  std::string model;   ///< "gpt2", "gemma4": BPE; "llama": SentencePiece BPE; "t5": unigram; "bert": WordPiece
  std::string pre;     ///< pre-tokenizer of a "gpt2" vocabulary; empty means "default"
  std::vector<std::string> tokens;
  std::vector<double> scores;             ///< one a token; "llama" and "t5" need them
  std::vector<std::int64_t> token_types;  ///< one a token (see GgufTokenType), or none at all
  std::vector<std::string> merges;        ///< "left right" in order of rank; "gpt2" and "gemma4"
  std::optional<std::int64_t> bos, eos, unknown, pad, separator;
  std::optional<bool> add_bos, add_eos, add_space_prefix;
  std::optional<bool> remove_extra_whitespaces;  ///< of "t5"
  std::optional<bool> lowercase, strip_accents;  ///< of "bert"
  std::string charsmap;                          ///< precompiled normalisation of "t5", as sentencepiece stores it
};

enum class GgufTokenType : std::int64_t {
  normal = 1,
  unknown = 2,
  control = 3,
  user_defined = 4,
  unused = 5,
  byte = 6
};

/// The tokenizer that a GGUF file describes. The file decides on BOS and EOS; where it is silent, a "llama" vocabulary
/// and the pre-tokenizers of the Llama 3 and Tekken families put BOS in front, and "t5" puts EOS at the end. "bert"
/// always stands between BOS ([CLS]) and the separator. Throws ModelError when the vocabulary is
/// inconsistent, or of a kind that is not known.
std::unique_ptr<Tokenizer> tokenizer_from_gguf(const GgufVocabulary& vocabulary);

}  // namespace whence
