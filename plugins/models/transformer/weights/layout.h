#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace whence::transformer {

/// The bytes [begin, end) that a tensor takes up in the data section of a file.
struct Extent {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::string name;
};

/// Checks that no two tensors share bytes; ModelError naming the file and both otherwise. Returns the first range of
/// [0, size) that belongs to no tensor, if there is one. Every extent must lie within [0, size).
std::optional<Extent> check_layout(const std::filesystem::path& file, std::vector<Extent> extents, std::uint64_t size);

/// A name from a foreign file in single quotes, fit for an error text: control characters replaced, cut when long.
std::string quote_name(std::string_view name);

}  // namespace whence::transformer
