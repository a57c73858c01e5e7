#pragma once

#include "task.h"
#include "workshop.h"

namespace whence::serve {

/// A job of kind "attribute": one text, explained as an experiment's attribution is. Fields have the names and meaning
/// of docs/experiment-yaml.md. Throws ConfigError, UnknownName, InputError for a request that cannot be done.
Task attribution_task(const Workshop& shop, const Value& request);

}  // namespace whence::serve
