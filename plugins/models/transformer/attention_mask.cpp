#include "attention_mask.h"

#include <ATen/ops/arange.h>

namespace whence::transformer {

AttentionMask attention_mask(std::int64_t start, std::int64_t count, std::int64_t window) {
  const std::int64_t keys = start + count;
  const bool all_near = window == 0 || keys <= window;
  if (all_near && count == 1) return {};
  if (all_near && start == 0) return {{}, true};
  const Tensor query = at::arange(start, keys).unsqueeze(1), key = at::arange(keys).unsqueeze(0);
  Tensor visible = key <= query;
  if (!all_near) visible = visible.logical_and(key > query - window);
  return {visible, false};
}

}  // namespace whence::transformer
