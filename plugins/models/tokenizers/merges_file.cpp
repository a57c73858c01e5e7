#include "merges_file.h"

#include <algorithm>
#include <sstream>

#include "checkpoint_files.h"
#include "text_utf8.h"
#include "whence/error.h"

namespace whence {
namespace {

/// Without the count at the end, if there is one.
std::string_view without_count(std::string_view line) {
  const auto space = line.rfind(' ');
  const bool has_three = space != std::string_view::npos && line.find(' ') != space;
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (!has_three || !std::all_of(line.begin() + static_cast<std::ptrdiff_t>(space) + 1, line.end(), is_digit))
    return line;
  return line.substr(0, space);
}

}  // namespace

std::vector<Merge> read_merges_file(const std::filesystem::path& path, bool counted) {
  std::istringstream lines(read_file(path));
  std::vector<Merge> merges;
  std::size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty() || (number == 1 && line.starts_with("#version"))) continue;
    const auto place = path.string() + ":" + std::to_string(number) + ": ";
    if (first_invalid_byte(line)) throw ModelError(place + "not valid UTF-8; fetch the file again");
    const auto pair = counted ? without_count(line) : std::string_view(line);
    const auto space = pair.find(' ');
    if (space == std::string_view::npos || space == 0 || space + 1 == pair.size() ||
        pair.find(' ', space + 1) != std::string_view::npos)
      throw ModelError(place + "expected two tokens and a space between them, found '" + line +
                       "'; fetch the file again");
    merges.push_back({std::string(pair.substr(0, space)), std::string(pair.substr(space + 1)), place});
  }
  return merges;
}

}  // namespace whence
