#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "whence/tokenizer.h"

struct WhenceTokenizer;

namespace whence {

/// A token that is cut out of the text before the vocabulary's own rules apply.
struct AddedToken {
  std::string content;
  bool single_word = false;  ///< only where no word character touches it
  bool lstrip = false;       ///< takes the white space on its left along
  bool rstrip = false;       ///< takes the white space on its right along
  bool normalized = false;   ///< matched in the normalised text instead of the original one
  bool special = true;
};

/// Tokens put around every text when special tokens are asked for; each only where it is named.
struct TextFrame {
  std::optional<std::string> bos, eos;
};

/// What a checkpoint says beside its tokenizer.json.
struct TokenizerChanges {
  std::vector<AddedToken> added_tokens;    ///< added in this order; a known content replaces the earlier rules
  std::vector<AddedToken> missing_tokens;  ///< added after them, each only when no added token has its content
  std::optional<bool> add_prefix_space;    ///< for a byte-level pre-tokenizer; empty: as in the JSON
  std::optional<TextFrame> frame;          ///< replaces the post-processor of the JSON; empty: as in the JSON
};

/// Text of the special tokens; one that the vocabulary lacks gives no id.
struct SpecialTokens {
  std::optional<std::string> bos, eos, unknown, pad;
  SpecialIds fallback = {};  ///< taken where no text is named, if the vocabulary has the id
};

/// A tokenizer described in the format of the Hugging Face tokenizers library. Texts are never truncated or padded.
class HfTokenizer : public Tokenizer {
 public:
  /// `json` is a tokenizer.json, `origin` names it in messages. Throws ModelError when it cannot be used.
  HfTokenizer(std::string_view json, const std::string& origin, const TokenizerChanges& changes,
              const SpecialTokens& special_tokens);

  Encoding encode(std::string_view text, const EncodeOptions& options = {}) const override;
  std::string decode(const TokenIds& ids, bool skip_special_tokens) const override;
  std::optional<std::string> token(std::int64_t id) const override;
  std::optional<std::int64_t> id(std::string_view token) const override;
  const SpecialIds& special_ids() const override { return special_ids_; }
  const TokenIds& all_special_ids() const override { return all_special_ids_; }

 private:
  struct Free {
    void operator()(WhenceTokenizer* tokenizer) const;
  };

  std::optional<std::int64_t> id_of(const std::optional<std::string>& token,
                                    std::optional<std::int64_t> fallback) const;
  TokenIds read_special_ids() const;

  std::string origin_;
  std::unique_ptr<WhenceTokenizer, Free> tokenizer_;
  SpecialIds special_ids_;
  TokenIds all_special_ids_;
};

}  // namespace whence
