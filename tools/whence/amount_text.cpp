#include "amount_text.h"

#include <cstdio>
#include <iterator>

namespace whence::cli {

std::string bytes_text(std::int64_t bytes) {
  constexpr double kStep = 1024;
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto amount = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; amount >= kStep && unit + 1 < std::size(kUnits); ++unit) amount /= kStep;
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", amount, kUnits[unit]);
  return text;
}

std::string counted(std::int64_t count, std::string what) {
  if (count != 1) what += what.ends_with('s') ? "es" : "s";
  return std::to_string(count) + " " + what;
}

}  // namespace whence::cli
