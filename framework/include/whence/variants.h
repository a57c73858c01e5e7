#pragma once

#include <vector>

#include "whence/tensor.h"

namespace whence {

/// What becomes of a removed token.
enum class Removal {
  baseline,  ///< its embedding becomes the problem's baseline embedding
  token,     ///< another token stands in its place
  zero,      ///< its embedding becomes zero
  mean,      ///< its embedding becomes the mean over the vocabulary
  row,       ///< its embedding becomes a row that is given
  /// No position attends to it. A step that is read at the token itself still has the token's own stream.
  mask,
  /// It is taken out and those behind it move up. A step is read at the last token that is left before the one it
  /// explains; where the first step of a text is left with none, the text begins with the BOS token (EOS without one).
  erase,
};

/// Perturbed copies of every sequence of a problem: variant p removes the tokens marked true. Marks beyond a sequence's
/// end mean nothing, and no step sees what is done to the token it explains or to a later one.
struct Variants {
  Tensor target_mask;  ///< [P,L] bool, or [P,B,L] where sequences differ; undefined: target untouched
  Tensor source_mask;  ///< [P,S] bool, or [P,B,S]; undefined: source untouched
  std::vector<Removal> removal{Removal::baseline};  ///< of all variants, or P of them
  Tensor target_ids, source_ids;  ///< [P,B,L] and [P,B,S] int64, of Removal::token: looked at where a token is removed
  Tensor target_row, source_row;  ///< [D], of Removal::row
};

}  // namespace whence
