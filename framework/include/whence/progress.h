#pragma once

#include <cstdint>
#include <functional>

namespace whence {

/// Called with (done, total) units of work of one attribution; never from two threads at once.
using Progress = std::function<void(std::int64_t done, std::int64_t total)>;

}  // namespace whence
