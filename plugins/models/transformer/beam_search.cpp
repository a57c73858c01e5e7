#include "beam_search.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/topk.h>

#include <cmath>
#include <limits>

namespace whence::transformer {
namespace {

/// What is added to scores that must not be chosen while there is another: no sum of log probabilities gets near it.
constexpr double kOut = -1e9;

double length_divisor(std::int64_t tokens, double penalty) { return std::pow(static_cast<double>(tokens), penalty); }

/// Indices of the k best, best first.
std::vector<std::int64_t> best_of(const Tensor& scores, std::int64_t k) {
  const Tensor best = std::get<1>(at::topk(scores, k));
  return {best.const_data_ptr<std::int64_t>(), best.const_data_ptr<std::int64_t>() + k};
}

Tensor select(const Tensor& scores, const std::vector<std::int64_t>& chosen) {
  return scores.index_select(0, at::tensor(chosen, at::kLong));
}

}  // namespace

BeamSearch::BeamSearch(SearchTerms terms) : terms_(std::move(terms)), beams_(*terms_.config.num_beams) {
  open_ = {{terms_.prompt}};
  // Of the prompt there is one text; the other places are open for what follows it.
  open_scores_ = at::full({beams_}, kOut, at::kFloat);
  open_scores_[0] = 0;
  ended_.resize(static_cast<std::size_t>(beams_));
  ended_scores_ = at::full({beams_}, kOut, at::kFloat);
}

bool BeamSearch::all_ended() const {
  return std::all_of(ended_.begin(), ended_.end(), [](const Ended& text) { return text.reason.has_value(); });
}

BeamSearch::Candidates BeamSearch::candidates(const Tensor& logits) const {
  Tensor scores = at::log_softmax(logits, 1);
  for (std::size_t i = 0; i < open_.size(); ++i)
    terms_.processors.apply(open_[i].ids, scores[static_cast<std::int64_t>(i)]);
  const std::int64_t vocabulary = scores.size(1);
  scores = (scores.expand({beams_, vocabulary}) + open_scores_.unsqueeze(1)).flatten();

  // Enough that some go on even if every open text ends in every way.
  const std::int64_t count = std::max<std::int64_t>(2, 1 + std::ssize(*terms_.config.eos)) * beams_;
  const Tensor chosen = *terms_.config.do_sample ? terms_.sampler.draw(scores, count, new_tokens(open_.front()))
                                                 : std::get<1>(at::topk(scores, count));
  Candidates result;
  result.scores = scores.index_select(0, chosen);
  if (result.scores.max().item<float>() == -std::numeric_limits<float>::infinity())
    throw_no_token(terms_, open_.front().ids);
  std::vector<float> ends;
  for (std::int64_t c = 0; c < count; ++c) {
    const auto place = chosen[c].item<std::int64_t>();
    // In the first step all beams are the prompt.
    const std::int64_t parent = std::min(place / vocabulary, std::ssize(open_) - 1);
    OpenText text{open_[static_cast<std::size_t>(parent)].ids, 0, parent};
    text.ids.push_back(place % vocabulary);
    result.reason.push_back(terms_.criteria.reason(text.ids));
    ends.push_back(result.reason.back() ? 1 : 0);
    result.texts.push_back(std::move(text));
  }
  result.ends = at::tensor(ends);
  return result;
}

void BeamSearch::open_next(const Candidates& candidates) {
  const Tensor scores = candidates.scores + candidates.ends * kOut;
  const auto chosen = best_of(scores, beams_);
  open_.clear();
  for (const std::int64_t c : chosen) open_.push_back(candidates.texts[static_cast<std::size_t>(c)]);
  open_scores_ = select(scores, chosen);
}

void BeamSearch::collect_ended(const Candidates& candidates) {
  // Only the best `beams` candidates may end; the others are there to go on.
  const Tensor may_end = candidates.ends.clone();
  may_end.slice(0, beams_).fill_(0);
  const double divisor = length_divisor(new_tokens(candidates.texts.front()), *terms_.config.length_penalty);
  const Tensor scores = candidates.scores / divisor + (1 - may_end) * kOut;
  const Tensor all_scores = at::cat({ended_scores_, scores});
  const auto chosen = best_of(all_scores, beams_);
  std::vector<Ended> best;
  for (const std::int64_t i : chosen) {
    if (i < beams_) {
      best.push_back(ended_[static_cast<std::size_t>(i)]);
      continue;
    }
    const auto c = static_cast<std::size_t>(i - beams_);
    best.push_back({candidates.texts[c].ids, i - beams_ < beams_ ? candidates.reason[c] : std::nullopt});
  }
  ended_ = std::move(best);
  ended_scores_ = select(all_scores, chosen);
}

bool BeamSearch::may_improve() const {
  const double penalty = *terms_.config.length_penalty;
  const bool at_full_length = *terms_.config.early_stopping == EarlyStopping::never && penalty > 0;
  const std::int64_t tokens = at_full_length ? terms_.limit - std::ssize(terms_.prompt) : new_tokens(open_.front());
  const float best = (open_scores_[0] / length_divisor(tokens, penalty)).item<float>();
  const float worst = ended_scores_.min().item<float>();
  return std::any_of(ended_.begin(), ended_.end(),
                     [&](const Ended& text) { return best > (text.reason ? worst : static_cast<float>(kOut)); });
}

void BeamSearch::advance(const Tensor& logits) {
  const Candidates next = candidates(logits);
  open_next(next);
  collect_ended(next);
  const bool enough = *terms_.config.early_stopping == EarlyStopping::yes && all_ended();
  if (enough || !may_improve() || next.ends.all().item<bool>()) open_.clear();
}

Continuation BeamSearch::found() const {
  const Ended& best = ended_.front();
  return {{best.ids.begin() + std::ssize(terms_.prompt), best.ids.end()}, best.reason.value()};
}

}  // namespace whence::transformer
