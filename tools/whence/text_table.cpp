#include "text_table.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace whence::cli {

std::string fixed(double number, int digits) {
  if (std::isnan(number)) return "-";
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, number);
  return text;
}

std::string text_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string padding(widths[i] - row[i].size(), ' ');
      text += i == 0 ? row[i] + (row.size() > 1 ? padding : "") : "  " + padding + row[i];
    }
    text += "\n";
  }
  return text;
}

}  // namespace whence::cli
