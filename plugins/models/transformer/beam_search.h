#pragma once

#include "search.h"

namespace whence::transformer {

/// Follows the likeliest texts together, `num_beams` of them, and finds the one with the best sum of log probabilities
/// over (new tokens)^length_penalty. With sampling, the texts that are followed are drawn by their probabilities.
class BeamSearch final : public Search {
 public:
  explicit BeamSearch(SearchTerms terms);

  void advance(const Tensor& logits) override;
  Continuation found() const override;

 private:
  /// Extensions of the open texts by one token, as many as may be needed, best first.
  struct Candidates {
    Tensor scores;                                  ///< [n] sums of log probabilities
    std::vector<OpenText> texts;                    ///< n
    std::vector<std::optional<StopReason>> reason;  ///< n; why each ends, if it does
    Tensor ends;                                    ///< [n] 1 where it does, else 0
  };

  struct Ended {
    TokenIds ids;
    std::optional<StopReason> reason;  ///< none: no text has ended in this place yet
  };

  Candidates candidates(const Tensor& logits) const;
  void open_next(const Candidates& candidates);
  void collect_ended(const Candidates& candidates);
  bool may_improve() const;
  bool all_ended() const;
  std::int64_t new_tokens(const OpenText& text) const { return std::ssize(text.ids) - std::ssize(terms_.prompt); }

  SearchTerms terms_;
  std::int64_t beams_;
  Tensor open_scores_;        ///< [beams] sums of log probabilities, best first
  std::vector<Ended> ended_;  ///< beams, best first
  Tensor ended_scores_;       ///< [beams] with the length penalty
};

}  // namespace whence::transformer
