#pragma once

#include <vector>

#include "case_data.h"
#include "host/context_spec.h"
#include "whence/context_attribution.h"
#include "whence/generation.h"

namespace whence::parity {

/// A stored context attribution of the reference toolkit (tools/fixtures/make_context_cases.py).
struct ContextCase {
  Case data;  ///< id, model and the whole file
  host::ContextInput input;
  host::ContextSpec spec;
  GenerationConfig generation;
  ContextAttribution expected;
  float threshold = 0;  ///< of sensitivities
};

/// Every case, sorted by name. Options of the reference that a case has and this does not know are errors.
const std::vector<ContextCase>& context_cases();

}  // namespace whence::parity
