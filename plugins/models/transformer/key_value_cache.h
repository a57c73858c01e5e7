#pragma once

#include <vector>

#include "whence/tensor.h"

namespace whence::transformer {

/// Keys (already turned) and values of the positions a text has so far, for every layer.
class KeyValueCache {
 public:
  explicit KeyValueCache(std::size_t layers) : keys_(layers), values_(layers) {}

  /// Positions that all layers hold.
  std::int64_t length() const { return length_; }
  void set_length(std::int64_t length) { length_ = length; }

  /// Puts `keys` and `values` [B,H,n,head] behind the `length()` positions of `layer` and gives all of them. The
  /// results are views that the next call may overwrite.
  std::pair<Tensor, Tensor> append(std::size_t layer, const Tensor& keys, const Tensor& values);

 private:
  std::vector<Tensor> keys_, values_;
  std::int64_t length_ = 0;
};

}  // namespace whence::transformer
