#include "whence/memory.h"

#include <fstream>
#include <string>

namespace whence {

std::int64_t available_memory() {
  std::ifstream meminfo("/proc/meminfo");
  std::string key, unit;
  std::int64_t kibibytes = 0;
  while (meminfo >> key >> kibibytes && std::getline(meminfo, unit))
    if (key == "MemAvailable:") return kibibytes * 1024;
  constexpr std::int64_t kUnknown = std::int64_t{1} << 31;  // no /proc: assume two gibibytes
  return kUnknown;
}

}  // namespace whence
