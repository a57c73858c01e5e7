#pragma once

#include "task.h"
#include "workshop.h"

namespace whence::serve {

/// A job of kind "context": which generated tokens depend on context, and on what of it. Fields have the names and
/// meaning of docs/context-attribution.md. Throws ConfigError, UnknownName, InputError for a request that cannot be
/// done.
Task context_task(const Workshop& shop, const Value& request);

}  // namespace whence::serve
