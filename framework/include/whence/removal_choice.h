#pragma once

#include "whence/params.h"
#include "whence/problem.h"

namespace whence {

/// How a method removes tokens, read from its parameters: `removal` ("delete", "mask", "token", "zero", "mean",
/// "baseline") and `token`, which stands in for removed ones: "unk", "pad", "mask", "random", or the text of one token.
class WHENCE_API RemovalChoice {
 public:
  /// Throws ConfigError for parameters that do not go together.
  explicit RemovalChoice(const Params& params);

  bool is_random() const { return token_ == "random"; }
  /// Completes variants whose masks are made. Random tokens are drawn evenly from those of the vocabulary that are not
  /// special, by `draw`, sequence and position alone. Throws ConfigError for a token that the tokenizer does not have.
  void complete(const Problem& problem, std::int64_t draw, Variants& variants) const;

 private:
  std::int64_t id(const Tokenizer& tokenizer) const;

  Removal removal_;
  std::string token_;
};

}  // namespace whence
