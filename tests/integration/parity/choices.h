#pragma once

#include <optional>
#include <vector>

#include "case_data.h"
#include "host/experiment.h"

namespace whence::parity {

/// A case in the words of an experiment. Where the reference toolkit computes something else by design, its convention
/// is chosen.
host::AttributionSpec attribution_spec(const Case& one);
std::vector<host::InputText> input_texts(const Case& one);
GenerationConfig generation_config(const Case& one);
/// The chain of an aggregate case; absent: the default.
std::optional<std::vector<host::Choice>> aggregation_chain(const Case& one);

}  // namespace whence::parity
