#pragma once

#include "host/context_output.h"

namespace whence::host {

/// What a result tells of how it was made: the options of the reference toolkit under its names, the texts as they were
/// prepared, and the rest under names of docs/context-attribution.md.
Value::Map context_info(const PluginHost& host, const ContextTask& task, const ContextOutput& output,
                        float sensitivity_threshold);

}  // namespace whence::host
