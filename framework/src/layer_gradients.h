#pragma once

#include "problem_state.h"

namespace whence {

/// See Problem::layer_gradients.
InputGradients layer_gradients(ProblemState& state, const GradientRequest& request);

}  // namespace whence
