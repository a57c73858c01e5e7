#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "whence/export.h"

namespace whence {

/// Which of some scores stand out.
struct StrongScores {
  double std_weight = 1;              ///< those of at least mean + weight * standard deviation, in magnitude
  std::optional<std::int64_t> top_k;  ///< of these the k strongest

  /// mean + weight * std with the unbiased standard deviation, in float32; the mean of a single score or with a weight
  /// of 0; 0 without scores.
  WHENCE_API float threshold(const std::vector<float>& scores) const;
  /// Indices of `scores` by falling magnitude; the order of equal ones is kept. The threshold is that of `all`. A score
  /// of zero never stands out.
  WHENCE_API std::vector<std::int64_t> of(const std::vector<float>& scores, const std::vector<float>& all) const;
  std::vector<std::int64_t> of(const std::vector<float>& scores) const { return of(scores, scores); }

  bool operator==(const StrongScores&) const = default;
};

}  // namespace whence
