#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "whence/params.h"
#include "whence/span.h"
#include "whence/tensor.h"
#include "whence/value.h"

/// Which heads are zeroed: all, the same ones in every layer, or other ones in each layer.
class ZeroedHeads {
 public:
  /// What `parameter` says: null (all), a head, a list of heads and spans of heads, or a mapping from layers to any of
  /// these, which leaves the layers that it doesn't name alone. Throws ConfigError for anything else.
  ZeroedHeads(std::string parameter, const whence::Params& params);

  /// N tensors [H] bool for a stack of `layers` (N) with `heads` (H); empty: all heads of all layers. Throws
  /// ConfigError for a layer or head that `model` lacks.
  std::vector<whence::Tensor> masks(const std::string& model, std::int64_t layers, std::int64_t heads) const;
  /// Throws ConfigError with `why` unless nothing is named.
  void refuse_if_named(const std::string& why) const;

 private:
  struct Part {
    whence::Span heads;
    whence::Mark where;
  };
  struct Layer {
    std::optional<std::vector<Part>> parts;  ///< nothing: all heads
    whence::Mark where;
  };

  [[noreturn]] void fail(const whence::Mark& where, const std::string& text) const;
  std::int64_t layer_number(const std::string& key, const whence::Mark& where) const;
  Layer read_layer(const whence::Value& choice) const;
  Part read_part(const whence::Value& item) const;
  whence::Tensor mask(const Layer& layer, std::int64_t heads) const;

  std::string parameter_;
  whence::Mark where_;
  std::optional<Layer> every_layer_;
  std::map<std::int64_t, Layer> layers_;
};
