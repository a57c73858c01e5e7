#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace whence {

/// One line of a merges.txt: two tokens that become one.
struct Merge {
  std::string left, right;
  std::string place;  ///< of the line, for messages
};

/// The lines of a merges.txt in their order, best first. `counted`: a number may follow, as fastBPE writes it. Throws
/// ModelError for any other line.
std::vector<Merge> read_merges_file(const std::filesystem::path& path, bool counted);

}  // namespace whence
