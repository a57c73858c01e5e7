#pragma once

#include "logits_processors.h"
#include "next_token_scorer.h"
#include "sampling.h"
#include "stopping_criteria.h"

namespace whence::transformer {

/// What a search for one continuation goes by.
struct SearchTerms {
  const GenerationConfig& config;  ///< resolved
  LogitsProcessors processors;
  StoppingCriteria criteria;
  Sampler sampler;
  TokenIds prompt;
  std::int64_t limit = 0;  ///< most tokens of the text, prompt included; more than the prompt has
};

struct Continuation {
  TokenIds ids;  ///< new tokens only
  StopReason reason = StopReason::length;
};

/// A search for the continuation of one prompt, which is told what may come next and says what to look at then.
class Search {
 public:
  virtual ~Search() = default;

  /// Texts whose next token is wanted, with `parent` among those of the step before; none when the search is done.
  const std::vector<OpenText>& open() const { return open_; }
  /// `logits` [n,V] float32, one row for each open text. Throws ConfigError when no token may come next.
  virtual void advance(const Tensor& logits) = 0;
  /// What was found, once the search is done.
  virtual Continuation found() const = 0;

 protected:
  std::vector<OpenText> open_;
};

/// Throws the ConfigError for a text that nothing may follow.
[[noreturn]] void throw_no_token(const SearchTerms& terms, const TokenIds& ids);

}  // namespace whence::transformer
