#pragma once

#include <string_view>

#include "whence/attribution_output.h"
#include "whence/export.h"

namespace whence {

/// One stage of an aggregation chain. Immutable after construction.
class WHENCE_API Aggregator {
 public:
  Aggregator() = default;
  Aggregator(const Aggregator&) = delete;
  Aggregator& operator=(const Aggregator&) = delete;
  virtual ~Aggregator();

  /// Changes tokens, tensors and steps of one sequence together, so that they still fit each other. Throws ConfigError
  /// when a parameter doesn't fit the sequence. [shape: see SequenceAttribution] [grad: off] [thread: any]
  virtual void apply(SequenceAttribution& sequence) const = 0;

  /// Optional powers, looked up by "name/revision". Null: not offered. [thread: any]
  virtual const void* query(std::string_view capability) const;
};

}  // namespace whence
