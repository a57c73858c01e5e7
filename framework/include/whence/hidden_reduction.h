#pragma once

#include <string>
#include <string_view>

#include "whence/attribution_output.h"
#include "whence/export.h"

namespace whence {

/// Optional power of an aggregator whose first act is to reduce the last dim of the attributions. Where that dim is the
/// hidden units, the reduction then runs inside the passes, so that a result is never held at the size of its hidden
/// units.
class WHENCE_API HiddenReduction {
 public:
  /// What `Aggregator::query` returns for it points to a HiddenReduction.
  static constexpr std::string_view kCapability = "hidden_reduction/1";

  virtual ~HiddenReduction();
  /// [...,D] -> [...], each entry from its own hidden units alone. Throws ConfigError when a parameter doesn't fit D.
  /// [grad: off] [thread: any]
  virtual Tensor reduce(const Tensor& values) const = 0;
  /// True when `reduce` is the plain sum of all hidden units, so that it may be done before other sums.
  virtual bool is_sum() const = 0;
  /// What `reduce` takes, in words, e.g. "norm of order 2"; two that say the same compute the same.
  virtual std::string description() const = 0;
  /// What `Aggregator::apply` does after it reduced the attributions, for a sequence whose attributions `reduce` made.
  /// [grad: off] [thread: any]
  virtual void finish(SequenceAttribution& sequence) const = 0;
};

}  // namespace whence
