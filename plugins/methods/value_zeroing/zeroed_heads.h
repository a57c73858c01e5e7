#pragma once

#include <map>
#include <optional>
#include <vector>

#include "whence/model.h"
#include "whence/span.h"
#include "whence/value.h"

/// Which heads are zeroed: all, the same ones in every layer, or other ones in each layer.
class ZeroedHeads {
 public:
  /// `choice` is null (all), a head, a list of heads and spans of heads, or a mapping from layers to any of these,
  /// which leaves the layers that it doesn't name alone. Throws ConfigError for anything else.
  explicit ZeroedHeads(const whence::Value& choice);

  /// N tensors [H] bool; empty: all heads of all layers. Throws ConfigError for a layer or head that the model lacks.
  std::vector<whence::Tensor> masks(const whence::ModelInfo& model) const;

 private:
  struct Part {
    whence::Span heads;
    whence::Mark where;
  };
  struct Layer {
    std::optional<std::vector<Part>> parts;  ///< nothing: all heads
    whence::Mark where;
  };

  static Layer read_layer(const whence::Value& choice);
  static Part read_part(const whence::Value& item);
  static whence::Tensor mask(const Layer& layer, std::int64_t heads);

  std::optional<Layer> every_layer_;
  std::map<std::int64_t, Layer> layers_;
};
