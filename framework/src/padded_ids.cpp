#include "padded_ids.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

namespace whence {

PaddedIds padded_ids(const std::vector<TokenIds>& rows) {
  std::size_t longest = 0;
  for (const auto& row : rows) longest = std::max(longest, row.size());
  const auto batch = static_cast<std::int64_t>(rows.size());
  PaddedIds padded{at::zeros({batch, static_cast<std::int64_t>(longest)}, at::kLong), at::empty({batch}, at::kLong)};
  for (std::int64_t b = 0; b < batch; ++b) {
    const auto& row = rows[static_cast<std::size_t>(b)];
    std::copy(row.begin(), row.end(), padded.ids.data_ptr<std::int64_t>() + b * static_cast<std::int64_t>(longest));
    padded.lengths.data_ptr<std::int64_t>()[b] = static_cast<std::int64_t>(row.size());
  }
  return padded;
}

}  // namespace whence
