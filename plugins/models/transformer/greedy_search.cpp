#include "greedy_search.h"

#include <limits>

namespace whence::transformer {

GreedySearch::GreedySearch(SearchTerms terms) : terms_(std::move(terms)) { open_ = {{terms_.prompt}}; }

void GreedySearch::advance(const Tensor& logits) {
  OpenText& text = open_.front();
  const Tensor scores = logits[0].clone();
  terms_.processors.apply(text.ids, scores);
  const Tensor chosen =
      *terms_.config.do_sample ? terms_.sampler.draw(scores, 1, std::ssize(found_.ids)) : scores.argmax();
  const auto id = chosen.item<std::int64_t>();
  if (scores[id].item<float>() == -std::numeric_limits<float>::infinity()) throw_no_token(terms_, text.ids);
  text.ids.push_back(id);
  text.parent = 0;
  found_.ids.push_back(id);
  if (const auto reason = terms_.criteria.reason(text.ids)) {
    found_.reason = *reason;
    open_.clear();
  }
}

}  // namespace whence::transformer
