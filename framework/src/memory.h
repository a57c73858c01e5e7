#pragma once

#include <cstdint>

namespace whence {

/// Bytes of memory that could be taken now without swapping.
std::int64_t available_memory();

}  // namespace whence
