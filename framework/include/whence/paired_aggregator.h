#pragma once

#include <string>
#include <string_view>

#include "whence/attribution_output.h"
#include "whence/export.h"

namespace whence {

/// Optional power of an aggregator that joins a result with another one of the same texts, or of texts as long. The
/// host finds the other result and sends it through the stages of the chain before this one.
class WHENCE_API PairedAggregator {
 public:
  /// What `Aggregator::query` returns for it points to a PairedAggregator.
  static constexpr std::string_view kCapability = "paired_aggregator/1";

  virtual ~PairedAggregator();
  /// The other result, as the user names it: another attribution of the experiment, or the file of a result.
  virtual std::string partner() const = 0;
  /// Changes `sequence` as `Aggregator::apply` does. Throws ConfigError when the two don't fit.
  /// [shape: see SequenceAttribution] [grad: off] [thread: any]
  virtual void join(SequenceAttribution& sequence, const SequenceAttribution& other) const = 0;
};

}  // namespace whence
