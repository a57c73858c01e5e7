#pragma once

#include "attention.h"
#include "mlp.h"
#include "norm.h"

namespace whence::transformer {

/// What the backward of a block needs of its forward.
struct BlockTrace {
  NormTrace attention_norm, mlp_norm;
  AttentionTrace attention;
  MlpTrace mlp;
};

/// One layer of a decoder, with the norms before attention and MLP.
struct Block {
  RmsNorm attention_norm, mlp_norm;
  Attention attention;
  GatedMlp mlp;

  /// [B,n,D] -> [B,n,D]; fills `trace` when it is not null.
  Tensor forward(const Tensor& x, AttentionContext context, BlockTrace* trace = nullptr) const;
};

}  // namespace whence::transformer
