#pragma once

#include "attention.h"
#include "mlp.h"
#include "norm.h"

namespace whence::transformer {

/// One layer of a decoder, with the norms before attention and MLP.
struct Block {
  RmsNorm attention_norm, mlp_norm;
  Attention attention;
  GatedMlp mlp;

  /// [B,n,D] -> [B,n,D].
  Tensor forward(const Tensor& x, const AttentionContext& context) const {
    const Tensor middle = x + attention.forward(attention_norm.forward(x), context);
    return middle + mlp.forward(mlp_norm.forward(middle));
  }
};

}  // namespace whence::transformer
