#include "host/forced_contrast.h"

#include "host/choice_value.h"

namespace whence::host {

bool needs_forced_contrast(const Choice& function) { return function.name == "kl_divergence"; }

AttributionSpec with_forced_contrast(AttributionSpec spec, bool forced) {
  set_param(spec.attributed_function, kForceInputs, Value(forced));
  return spec;
}

}  // namespace whence::host
