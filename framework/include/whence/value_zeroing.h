#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "whence/batch.h"
#include "whence/export.h"

namespace whence {

/// Optional power of a model: single blocks whose attention reads no value of one position, everything else clean.
class WHENCE_API ValueZeroing {
 public:
  /// What `Model::query` returns for it points to a ValueZeroing.
  static constexpr std::string_view kCapability = "value_zeroing/1";

  struct Request {
    Tensor positions;           ///< [B,T] int64: rows whose states are wanted; -1: none
    std::vector<Tensor> heads;  ///< N tensors [H] bool: query heads that are zeroed; empty: all heads of all layers
  };

  /// One row of one layer: `clean` [D] is the output of the block there (of the last block: after the final norm), and
  /// row j of `zeroed` [position + 1,D] the same when the values of position j are zero in this layer alone.
  using Visitor = std::function<void(std::int64_t layer, std::int64_t sequence, std::int64_t step, const Tensor& clean,
                                     const Tensor& zeroed)>;

  virtual ~ValueZeroing();
  /// Layers in ascending order; a layer none of whose heads is zeroed is left out. [grad: off] [thread: any]
  virtual void zero_values(const Inputs& inputs, const Request& request, const Visitor& visit) const = 0;
};

}  // namespace whence
