#pragma once

#include <string>
#include <vector>

namespace whence::cli {

/// Rows of cells in columns as wide as their longest cell, the first to the left and the others to the right.
std::string text_table(const std::vector<std::vector<std::string>>& rows);
/// A number with so many digits behind the point; "-" for NaN.
std::string fixed(double number, int digits);

}  // namespace whence::cli
