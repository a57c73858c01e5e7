#pragma once

#include <cstdint>
#include <string>

namespace whence::cli {

/// "12 B", "3.4 MiB".
std::string bytes_text(std::int64_t bytes);
/// "1 row", "2 passes".
std::string counted(std::int64_t count, std::string what);

}  // namespace whence::cli
