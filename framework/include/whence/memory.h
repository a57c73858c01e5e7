#pragma once

#include <cstdint>

#include "whence/export.h"

namespace whence {

/// Bytes of memory that could be taken now without swapping.
WHENCE_API std::int64_t available_memory();

}  // namespace whence
