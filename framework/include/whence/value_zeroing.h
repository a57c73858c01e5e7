#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "whence/batch.h"
#include "whence/export.h"

namespace whence {

/// Optional power of a model: single blocks one of whose attentions reads no value of one position, everything else
/// clean.
class WHENCE_API ValueZeroing {
 public:
  /// What `Model::query` returns for it points to a ValueZeroing.
  static constexpr std::string_view kCapability = "value_zeroing/2";

  /// Whose values an attention reads, and who reads them.
  enum class Attention {
    target,  ///< the target's, by itself
    source,  ///< the source's, by itself
    cross,   ///< the source's, by the target
  };

  /// What is zeroed in one attention, and whose states are wanted without it.
  struct Values {
    Tensor positions;           ///< [B,T] int64: rows of those who read; -1: none. Undefined: the attention stays whole
    std::vector<Tensor> heads;  ///< N tensors [H] bool: query heads that are zeroed; empty: all heads of all layers
  };

  struct Request {
    Values target, source, cross;
  };

  /// One row of one layer: `clean` [D] is the output of the block there (of the last block: after the final norm), and
  /// row j of `zeroed` [seen,D] the same when the values of position j are zero in this layer alone. A row of the
  /// target sees the positions of the target up to its own.
  struct Row {
    Attention attention = Attention::target;
    std::int64_t layer = 0, sequence = 0, step = 0;
    const Tensor &clean, &zeroed;
  };
  using Visitor = std::function<void(const Row&)>;

  /// How many of an attention there are.
  struct Extent {
    std::int64_t layers = 0, heads = 0;
  };

  virtual ~ValueZeroing();
  /// None where the model has no source. [thread: any]
  virtual Extent extent(Attention attention) const = 0;
  /// Layers of each attention in ascending order; a layer none of whose heads is zeroed is left out. Throws InputError
  /// when a model without a source is asked for one. [grad: off] [thread: any]
  virtual void zero_values(const Inputs& inputs, const Request& request, const Visitor& visit) const = 0;
};

}  // namespace whence
