#pragma once

#include "search.h"

namespace whence::transformer {

/// Takes the likeliest token at every step, or one that is drawn.
class GreedySearch final : public Search {
 public:
  explicit GreedySearch(SearchTerms terms);

  void advance(const Tensor& logits) override;
  Continuation found() const override { return found_; }

 private:
  SearchTerms terms_;
  Continuation found_;
};

}  // namespace whence::transformer
