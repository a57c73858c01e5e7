#include "whence/strong_scores.h"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/std.h>

#include <algorithm>
#include <cmath>

namespace whence {

float StrongScores::threshold(const std::vector<float>& scores) const {
  if (scores.empty()) return 0;
  // A tensor, so that sums are rounded as the reference toolkit has them.
  const at::Tensor all = at::from_blob(const_cast<float*>(scores.data()), {std::ssize(scores)}, at::kFloat);
  const at::Tensor mean = all.mean();
  if (std_weight == 0 || scores.size() == 1) return mean.item<float>();
  return (mean + std_weight * all.std()).item<float>();
}

std::vector<std::int64_t> StrongScores::of(const std::vector<float>& scores, const std::vector<float>& all) const {
  const float least = threshold(all);
  std::vector<std::int64_t> strong;
  for (std::int64_t i = 0; i < std::ssize(scores); ++i)
    if (const float size = std::abs(scores[static_cast<std::size_t>(i)]); size > 0 && size >= least)
      strong.push_back(i);
  std::ranges::stable_sort(strong, std::greater(),
                           [&](std::int64_t i) { return std::abs(scores[static_cast<std::size_t>(i)]); });
  if (top_k && *top_k < std::ssize(strong)) strong.resize(static_cast<std::size_t>(std::max<std::int64_t>(0, *top_k)));
  return strong;
}

}  // namespace whence
