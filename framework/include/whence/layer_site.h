#pragma once

#include <cstdint>

#include "whence/batch.h"

namespace whence {

/// A place between the blocks of a stack, where states [B,L,D] (of an encoder [B,S,D]) are read, given and
/// differentiated at: what goes into block `block`. In a stack of N blocks, N is what comes out of the last one, before
/// the final norm.
struct LayerSite {
  Side stack = Side::target;  ///< source: the encoder's; target: the decoder's
  std::int64_t block = 0;

  bool operator==(const LayerSite&) const = default;
};

}  // namespace whence
