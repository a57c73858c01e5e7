#pragma once

#include <functional>
#include <vector>

#include "whence/generation.h"

namespace whence::transformer {

// What may come next: each changes the scores [V] float32 of the token that follows `ids`, in place. A score of minus
// infinity means that the token may not come. They depend on nothing else, and do what the processors of the usual
// generation options do.

/// Scores of tokens that occur in `ids` are divided by the penalty where positive, else multiplied by it
/// (arXiv:1909.05858).
void penalise_repetition(const TokenIds& ids, const Tensor& scores, double penalty);
/// No `size` tokens come twice in the same order.
void ban_repeated_ngrams(const TokenIds& ids, const Tensor& scores, std::int64_t size);
/// None of the sequences is completed.
void ban_sequences(const TokenIds& ids, const Tensor& scores, const std::vector<TokenIds>& sequences);
void ban_tokens(const Tensor& scores, const TokenIds& banned);
/// Only the given tokens may come; they score zero.
void force_tokens(const Tensor& scores, const TokenIds& forced);

// Which tokens may be drawn. All but the temperature keep at least `least` tokens.

void apply_temperature(const Tensor& scores, double temperature);
/// The `k` best tokens, with all that score as the last of these.
void keep_top_k(const Tensor& scores, std::int64_t k);
/// The likeliest tokens up to the one with which they reach a probability of `p` (arXiv:1904.09751).
void keep_top_p(const Tensor& scores, double p, std::int64_t least);
/// Tokens with at least `p` times the probability of the likeliest (arXiv:2407.01082).
void keep_min_p(const Tensor& scores, double p, std::int64_t least);
/// Tokens whose surprise is closest to the entropy, up to the one with which they reach a probability of `p`
/// (arXiv:2202.00666).
void keep_typical(const Tensor& scores, double p, std::int64_t least);

/// The processors that a configuration asks for, in the order in which they work.
class LogitsProcessors {
 public:
  /// `config` is resolved; `prompt` and `limit`: tokens of the text before and at most after generating.
  LogitsProcessors(const GenerationConfig& config, std::int64_t prompt, std::int64_t limit);

  void apply(const TokenIds& ids, const Tensor& scores) const {
    for (const auto& processor : processors_) processor(ids, scores);
  }

 private:
  std::vector<std::function<void(const TokenIds&, const Tensor&)>> processors_;
};

}  // namespace whence::transformer
