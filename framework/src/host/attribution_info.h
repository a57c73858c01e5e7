#pragma once

#include <optional>

#include "host/attribute.h"

namespace whence::host {

/// What an attribution took.
struct Cost {
  Work work;
  std::int64_t tensor_bytes = 0;  ///< most bytes of tensors held at a time, beside those held before it began
  double seconds = 0;
};

/// `AttributionOutput::info` of an attribution; the keys are those of docs/results.md.
Value::Map attribution_info(const Model& model, const PluginHost& host, const std::vector<PreparedText>& texts,
                            const AttributionSpec& spec, const AttributeOptions& options, const Cost& cost);

/// What `info` says of its cost; empty for a result that whence did not make.
std::optional<Cost> cost_of(const AttributionOutput& output);

/// A yes or no of plugin.yaml.
bool flag(const PluginInfo& plugin, std::string_view key, bool otherwise);

}  // namespace whence::host
