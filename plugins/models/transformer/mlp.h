#pragma once

#include "activation.h"
#include "linear.h"

namespace whence::transformer {

/// What the backward of a gated MLP needs of its forward, for rows [..,I]: the factors of the two inner cotangents.
struct MlpTrace {
  Tensor gate_slope;  ///< activation'(gate) * up
  Tensor activated;   ///< activation(gate)
};

/// down(activation(gate(x)) * up(x)), arXiv:2002.05202.
struct GatedMlp {
  Linear gate, up, down;
  Activation activation = Activation::silu;

  /// [..,D] -> [..,D]; fills `trace` when it is not null.
  Tensor forward(const Tensor& x, MlpTrace* trace = nullptr) const;
  /// Cotangents of the output -> of the input, T for every traced row: [..,T,D] -> [..,T,D].
  Tensor pull_back(const MlpTrace& trace, const Tensor& cotangents) const;
};

}  // namespace whence::transformer
