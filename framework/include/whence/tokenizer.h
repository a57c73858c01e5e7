#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "whence/batch.h"
#include "whence/export.h"
#include "whence/span.h"
#include "whence/tensor.h"

namespace whence {

/// One tokenised text; all lists have one entry per token.
struct Encoding {
  TokenIds ids;
  std::vector<std::string> tokens;  ///< raw vocabulary entries, e.g. "Ġhome"
  std::vector<Span> offsets;        ///< in characters (Unicode scalar values) of the text; {0,0} for added specials
  std::vector<bool> special;        ///< true where the tokenizer itself added the token
};

struct EncodeOptions {
  bool add_special_tokens = true;  ///< BOS, EOS and the like, as the checkpoint's template says
  /// Of the text, as the checkpoint writes it, e.g. "fr_XX"; empty: that of its files. Only multilingual checkpoints
  /// have languages.
  std::string language = {};
};

/// Ids of the special tokens a checkpoint names; empty where it has none.
struct SpecialIds {
  std::optional<std::int64_t> bos, eos, unknown, pad;
};

/// Text to token ids and back. Immutable after construction.
class WHENCE_API Tokenizer {
 public:
  Tokenizer() = default;
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;
  virtual ~Tokenizer();

  /// Throws InputError when `text` is not valid UTF-8, and for a language that there is not. [thread: any]
  virtual Encoding encode(std::string_view text, const EncodeOptions& options = {}) const = 0;
  /// As `encode` for every text, in order; no padding is added. [thread: any]
  virtual std::vector<Encoding> encode_batch(const std::vector<std::string>& texts,
                                             const EncodeOptions& options = {}) const;
  /// Bytes that form no whole character come out as U+FFFD. Ids outside the vocabulary are an InputError. [thread: any]
  virtual std::string decode(const TokenIds& ids, bool skip_special_tokens) const = 0;
  /// Raw vocabulary entry, or empty when `id` is outside the vocabulary. [thread: any]
  virtual std::optional<std::string> token(std::int64_t id) const = 0;
  /// Id of a raw vocabulary entry, or empty when there is none. [thread: any]
  virtual std::optional<std::int64_t> id(std::string_view token) const = 0;
  /// The same object every time. [thread: any]
  virtual const SpecialIds& special_ids() const = 0;
  /// All ids that the vocabulary marks as special, ascending. [thread: any]
  virtual const TokenIds& all_special_ids() const = 0;
  /// The tokenizer of one side of an encoder-decoder; this one where both sides share it. Ids of one side may mean
  /// other tokens on the other. The same object every time, alive as long as this one. [thread: any]
  virtual const Tokenizer& on(Side side) const;
  /// Id of the token that stands for a language, which generation may be forced to start with; empty when the
  /// checkpoint does not have it. [thread: any]
  virtual std::optional<std::int64_t> language_id(std::string_view language) const;
};

}  // namespace whence
