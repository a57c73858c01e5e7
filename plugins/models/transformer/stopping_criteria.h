#pragma once

#include <optional>

#include "whence/generation.h"
#include "whence/tokenizer.h"

namespace whence::transformer {

/// When a text ends.
class StoppingCriteria {
 public:
  /// `config` is resolved; `prompt` and `limit`: tokens of the text before and at most after generating.
  StoppingCriteria(const GenerationConfig& config, const Tokenizer& tokenizer, std::int64_t prompt, std::int64_t limit)
      : config_(config), tokenizer_(tokenizer), prompt_(prompt), limit_(limit) {}

  /// Why the text, whose last token is new, ends here, if it does.
  std::optional<StopReason> reason(const TokenIds& ids) const;

 private:
  bool holds_stop_text(const TokenIds& ids) const;

  const GenerationConfig& config_;
  const Tokenizer& tokenizer_;
  std::int64_t prompt_, limit_;
};

}  // namespace whence::transformer
