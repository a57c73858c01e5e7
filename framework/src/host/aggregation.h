#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/experiment.h"
#include "host/plugin_host.h"
#include "whence/attribution_output.h"
#include "whence/hidden_reduction.h"

namespace whence::host {

/// The stage that a chain begins with, where it reduces hidden units: passes do that part of it early, and the rest is
/// done when the chain is applied. Errors name the place of the choice.
class EarlyReduction final : public HiddenReduction {
 public:
  /// That of the chain that makes an attribution token-level: the chosen one, or the default for hidden units. Null
  /// when hidden units are to be kept, or when the chain begins in another way.
  static std::unique_ptr<EarlyReduction> of(const PluginHost& host, const AttributionSpec& spec);
  /// That of one stage; null when it begins in another way.
  static std::unique_ptr<EarlyReduction> of(const PluginHost& host, const Choice& choice);

  Tensor reduce(const Tensor& values) const override;
  bool is_sum() const override { return reduction_->is_sum(); }
  std::string description() const override { return reduction_->description(); }
  void finish(SequenceAttribution& sequence) const override;

  /// What `info` of a result says about it, under kReducedKey.
  Value record(const Catalogue& catalogue) const;

 private:
  EarlyReduction(Choice choice, std::unique_ptr<Aggregator> aggregator, const HiddenReduction& reduction);

  const Choice choice_;
  const std::unique_ptr<Aggregator> aggregator_;
  const HiddenReduction* const reduction_;  ///< of the aggregator
};

/// Key of `AttributionOutput::info` that tells how hidden units were reduced while attributing.
inline constexpr char kReducedKey[] = "hidden_reduction";

/// The chain that makes a result ready for readers: the stage that its hidden units were reduced by, or the norm over
/// hidden units, or the mean over heads and layers. States between all blocks stay apart: they are a map of their own.
std::vector<Choice> default_aggregation(const AttributionOutput& output);

/// Finds the result that an aggregator of pairs names. Throws ConfigError for one that is not there.
using FindResult = std::function<AttributionOutput(const std::string& name)>;

/// For callers without other results: always throws.
AttributionOutput no_other_result(const std::string& name);
/// `name` is the file of a result.
AttributionOutput read_other_result(const std::string& name);

/// A copy of `output` with every sequence sent through the chain, or through the default one. Where hidden units were
/// reduced early, only the rest of the first stage is done. Errors name the place of the choice and the aggregator;
/// ConfigError for a chain that begins with another reduction of hidden units than was done.
AttributionOutput aggregated(const PluginHost& host, const AttributionOutput& output,
                             const std::optional<std::vector<Choice>>& chain = {},
                             const FindResult& find = no_other_result);

}  // namespace whence::host
