#include "host/aggregation.h"

#include <algorithm>

#include "host/guard.h"
#include "host/run_directory.h"
#include "whence/paired_aggregator.h"
#include "whence/result_json.h"

namespace whence::host {
namespace {

/// The default for hidden units.
const Choice kNorm{"vnorm", {}, {}};

/// How hidden units were reduced, as a result tells.
struct Reduced {
  std::string description;
  Choice stage;
};

/// Throws InputError for a result file that tells it in another way.
std::optional<Reduced> reduced_by(const AttributionOutput& output) {
  for (const auto& [key, value] : output.info) {
    if (key != kReducedKey) continue;
    try {
      const Choice stage{value.at("aggregator").as_string(), value.at("parameters"), {}};
      stage.params.as_map();
      return Reduced{value.at("description").as_string(), stage};
    } catch (const ConfigError& error) {
      throw InputError("info." + key + ": " + error.what() + "; the result is damaged");
    }
  }
  return {};
}

void join_all(AttributionOutput& output, const AttributionOutput& other, const PairedAggregator& pairing) {
  const std::size_t count = output.sequences.size();
  if (other.sequences.size() != count)
    throw ConfigError("'" + pairing.partner() + "' has " + std::to_string(other.sequences.size()) +
                      " sequences; expected " + std::to_string(count) + ", as many as this result");
  for (std::size_t i = 0; i < count; ++i) pairing.join(output.sequences[i], other.sequences[i]);
}

}  // namespace

EarlyReduction::EarlyReduction(Choice choice, std::unique_ptr<Aggregator> aggregator, const HiddenReduction& reduction)
    : choice_(std::move(choice)), aggregator_(std::move(aggregator)), reduction_(&reduction) {}

std::unique_ptr<EarlyReduction> EarlyReduction::of(const PluginHost& host, const Choice& choice) {
  auto aggregator = host.make_aggregator(choice);
  const void* power = aggregator->query(kCapability);
  if (!power) return nullptr;
  const auto& reduction = *static_cast<const HiddenReduction*>(power);
  return std::unique_ptr<EarlyReduction>(new EarlyReduction(choice, std::move(aggregator), reduction));
}

std::unique_ptr<EarlyReduction> EarlyReduction::of(const PluginHost& host, const AttributionSpec& spec) {
  if (spec.granularity == Granularity::full) return nullptr;
  if (spec.aggregation) return spec.aggregation->empty() ? nullptr : of(host, spec.aggregation->front());
  const auto installed = host.catalogue().names(PluginKind::aggregator);
  const bool known = std::find(installed.begin(), installed.end(), kNorm.name) != installed.end();
  return known ? of(host, kNorm) : nullptr;
}

Tensor EarlyReduction::reduce(const Tensor& values) const {
  return with_place(choice_.where, plugin_title(PluginKind::aggregator, choice_.name),
                    [&] { return reduction_->reduce(values); });
}

void EarlyReduction::finish(SequenceAttribution& sequence) const {
  with_place(choice_.where, plugin_title(PluginKind::aggregator, choice_.name), [&] { reduction_->finish(sequence); });
}

Value EarlyReduction::record(const Catalogue& catalogue) const {
  const PluginInfo& plugin = catalogue.find(PluginKind::aggregator, choice_.name, choice_.where);
  return Value(Value::Map{{"description", Value(description())},
                          {"aggregator", Value(plugin.name)},
                          {"parameters", Value(recorded_params(plugin, choice_))}});
}

std::vector<Choice> default_aggregation(const AttributionOutput& output) {
  if (output.sequences.empty()) return {};
  std::vector<std::string> dims = output.sequences.front().granularity;
  std::erase(dims, "layer_state");
  if (dims.empty()) {
    const auto reduced = reduced_by(output);
    return reduced ? std::vector<Choice>{reduced->stage} : std::vector<Choice>{};
  }
  if (dims == std::vector<std::string>{"hidden"}) return {kNorm};
  return std::vector<Choice>(dims.size(), Choice{"mean", {}, {}});
}

AttributionOutput no_other_result(const std::string& name) {
  throw ConfigError("there is no other result '" + name + "' here; expected a command that has one");
}

AttributionOutput read_other_result(const std::string& name) { return from_result_json(read_file(name), name); }

AttributionOutput aggregated(const PluginHost& host, const AttributionOutput& output,
                             const std::optional<std::vector<Choice>>& chain, const FindResult& find) {
  const std::vector<Choice> stages = chain ? *chain : default_aggregation(output);
  AttributionOutput result = output;
  auto reduced = reduced_by(output);
  // It tells what is left to do.
  std::erase_if(result.info, [](const auto& entry) { return entry.first == kReducedKey; });
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const Choice& choice = stages[i];
    if (const auto first = reduced ? EarlyReduction::of(host, choice) : nullptr) {
      if (first->description() != reduced->description)
        throw ConfigError(choice.where,
                          plugin_title(PluginKind::aggregator, choice.name) + ": takes the " + first->description() +
                              " over hidden units, but this result has already their " + reduced->description +
                              "; attribute again with it, or with granularity full");
      for (SequenceAttribution& sequence : result.sequences) first->finish(sequence);
    } else {
      const auto aggregator = host.make_aggregator(choice);
      with_place(choice.where, plugin_title(PluginKind::aggregator, choice.name), [&] {
        if (const auto* power = aggregator->query(PairedAggregator::kCapability)) {
          const auto& pairing = *static_cast<const PairedAggregator*>(power);
          const std::vector<Choice> before(stages.begin(), stages.begin() + static_cast<std::ptrdiff_t>(i));
          join_all(result, aggregated(host, find(pairing.partner()), before, find), pairing);
        } else {
          for (SequenceAttribution& sequence : result.sequences) aggregator->apply(sequence);
        }
      });
    }
    reduced.reset();
  }
  return result;
}

}  // namespace whence::host
