#pragma once

#include <vector>

#include "whence/tensor.h"

namespace whence::transformer {

/// A text whose next token is wanted.
struct OpenText {
  TokenIds ids;
  std::int64_t sequence = 0;  ///< which sequence of the batch it continues
  /// Which text of the call before it extends by its last token; -1: none, it is looked at for the first time.
  std::int64_t parent = -1;
};

/// Scores what may follow growing texts, keeping what it knows of them from call to call. What it says of a text
/// doesn't depend on the others.
class NextTokenScorer {
 public:
  NextTokenScorer() = default;
  NextTokenScorer(const NextTokenScorer&) = delete;
  NextTokenScorer& operator=(const NextTokenScorer&) = delete;
  virtual ~NextTokenScorer() = default;

  /// Logits [n,V] float32 of the token that follows each of the texts. A text of the call before that none of them
  /// extends is given up; one that several extend is shared. Throws ModelError when numbers are not finite.
  virtual Tensor next_logits(const std::vector<OpenText>& texts) = 0;
};

}  // namespace whence::transformer
