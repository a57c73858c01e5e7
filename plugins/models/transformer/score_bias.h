#pragma once

#include "stack_config.h"
#include "whence/tensor.h"

namespace whence::transformer {

/// Numbers that are added to attention scores and depend on positions alone: ALiBi (arXiv:2108.12409) or a learned bias
/// of the distance (arXiv:1910.10683). T is float or double. [thread: any]
template <class T>
class ScoreBias {
 public:
  /// For texts of up to `longest` positions. `relative` [H,buckets] are the learned biases, `causal` says whether keys
  /// behind the query are seen.
  ScoreBias(const AttentionConfig& config, const Tensor& relative, bool causal, std::int64_t longest);

  /// Adds those of `count` keys from `first_key` on to the scores of one query of one head. All keys of a query may be
  /// off by the same number, which the softmax does not see: numbers stay as small as the distances.
  void add(std::int64_t head, std::int64_t query, std::int64_t first_key, std::int64_t count, T* scores) const;

 private:
  Tensor table_;  // [H,n] by distance, that of the first column being -origin_; or by key, see rounded_scale_
  std::int64_t origin_;
  /// Falcon rounds what it adds at each key, so that it is no function of the distance. It adds before it scales. 0:
  /// nothing is rounded.
  double rounded_scale_ = 0;
};

}  // namespace whence::transformer
