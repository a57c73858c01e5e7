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

  /// Those of keys from `first_key` on, for one query of one head.
  const T* row(std::int64_t head, std::int64_t query, std::int64_t first_key) const {
    return table_.const_data_ptr<T>() + head * table_.size(1) + first_key + (relative_ ? origin_ - query : 0);
  }

 private:
  Tensor table_;  // [H,n] by key, or [H,2n-1] by distance
  bool relative_;
  std::int64_t origin_;
};

}  // namespace whence::transformer
