#include "layout.h"

#include <algorithm>
#include <tuple>

#include "whence/error.h"

namespace whence::transformer {

std::optional<Extent> check_layout(const std::filesystem::path& file, std::vector<Extent> extents, std::uint64_t size) {
  std::ranges::sort(extents, {}, [](const Extent& extent) { return std::tie(extent.begin, extent.end); });
  std::optional<Extent> gap;
  std::uint64_t covered = 0;
  const Extent* last = nullptr;
  for (const Extent& extent : extents) {
    if (extent.begin == extent.end) continue;
    if (extent.begin < covered)
      throw ModelError(file.string() + ": tensors " + quote_name(last->name) + " and " + quote_name(extent.name) +
                       " overlap: bytes " + std::to_string(last->begin) + " to " + std::to_string(last->end) + " and " +
                       std::to_string(extent.begin) + " to " + std::to_string(extent.end) +
                       " of the data; the file is damaged, get it again");
    if (extent.begin > covered && !gap) gap = Extent{covered, extent.begin, {}};
    covered = extent.end;
    last = &extent;
  }
  if (covered < size && !gap) gap = Extent{covered, size, {}};
  return gap;
}

std::string quote_name(std::string_view name) {
  constexpr std::size_t kLongest = 120;
  std::string text = "'";
  for (const char c : name.substr(0, kLongest)) text += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  return text + (name.size() > kLongest ? "...'" : "'");
}

}  // namespace whence::transformer
