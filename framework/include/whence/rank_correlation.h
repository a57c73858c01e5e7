#pragma once

#include <span>
#include <vector>

#include "whence/export.h"

namespace whence {

// Of two lists of equal length; NaN where one of them does not vary, or holds less than two numbers.

/// Pearson's r.
WHENCE_API double pearson(std::span<const double> x, std::span<const double> y);
/// Spearman's rho: Pearson's r of the ranks, equal numbers sharing the mean of theirs.
WHENCE_API double spearman(std::span<const double> x, std::span<const double> y);
/// Kendall's tau-b, which corrects for equal numbers; in O(n log n), Knight (1966), doi:10.1080/01621459.1966.10480879.
WHENCE_API double kendall_tau_b(std::span<const double> x, std::span<const double> y);

/// Ranks from 1, equal numbers sharing the mean of theirs.
WHENCE_API std::vector<double> average_ranks(std::span<const double> numbers);

}  // namespace whence
