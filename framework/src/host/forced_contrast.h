#pragma once

#include "host/attribution_spec.h"

namespace whence::host {

/// Parameter of every step function that compares texts: whether passes over the contrastive text are made where it is
/// explained.
inline constexpr char kForceInputs[] = "contrast_force_inputs";

/// True for a function that says nothing in the logits of one text, whatever its parameters.
bool needs_forced_contrast(const Choice& function);

/// The spec with this parameter of its attributed function set.
AttributionSpec with_forced_contrast(AttributionSpec spec, bool forced);

}  // namespace whence::host
