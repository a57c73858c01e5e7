#pragma once

#include "architecture.h"

namespace whence::transformer {

/// What checkpoints of an architecture, in any format, call its embeddings and blocks: what stands before the weights.
ModuleNames module_names(const Architecture& architecture);

}  // namespace whence::transformer
