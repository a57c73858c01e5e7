#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "gguf_tokenizer.h"

namespace whence {

/// What `tokenizer.ggml.model` says a vocabulary is.
enum class GgufKind {
  bpe,             ///< "gpt2", "gemma4": merges in order
  sentence_piece,  ///< "llama": BPE by scores
  unigram,         ///< "t5"
  word_piece       ///< "bert"
};

/// A vocabulary whose tokens, lists and ids fit together.
class GgufTokens {
 public:
  /// Throws ModelError for an unknown kind and for what is inconsistent.
  explicit GgufTokens(const GgufVocabulary& vocabulary);

  const GgufVocabulary& vocabulary() const { return vocabulary_; }
  GgufKind kind() const { return kind_; }
  /// The tokens, each with a text of its own.
  const std::vector<std::string>& texts() const { return texts_; }
  bool contains(std::string_view text) const { return index_.contains(text); }
  GgufTokenType type(std::size_t id) const;

  // Those of the file, else those that its kind has by convention, where the vocabulary is large enough.
  std::optional<std::int64_t> bos() const { return bos_; }
  std::optional<std::int64_t> eos() const { return eos_; }
  std::optional<std::int64_t> unknown() const { return unknown_; }
  std::optional<std::int64_t> pad() const { return pad_; }
  std::optional<std::int64_t> separator() const { return separator_; }

  [[noreturn]] void fail(const std::string& key, const std::string& what) const;
  [[noreturn]] void fail_damaged(const std::string& key, const std::string& what) const;

 private:
  GgufKind read_kind() const;
  void read_texts();
  void check_lists() const;
  void read_ids();

  const GgufVocabulary& vocabulary_;
  GgufKind kind_;
  std::vector<std::string> texts_;
  std::unordered_map<std::string_view, std::size_t> index_;  ///< views into `texts_`
  std::optional<std::int64_t> bos_, eos_, unknown_, pad_, separator_;
};

}  // namespace whence
