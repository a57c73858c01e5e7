#include "key_value_cache.h"

#include <ATen/ops/empty.h>

namespace whence::transformer {
namespace {

Tensor append_to(Tensor& store, std::int64_t used, const Tensor& rows) {
  const std::int64_t needed = used + rows.size(2);
  if (!store.defined() || store.size(2) < needed) {
    Tensor larger =
        at::empty({rows.size(0), rows.size(1), std::max(needed + 32, 2 * used), rows.size(3)}, rows.options());
    if (used > 0) larger.narrow(2, 0, used).copy_(store.narrow(2, 0, used));
    store = larger;
  }
  store.narrow(2, used, rows.size(2)).copy_(rows);
  return store.narrow(2, 0, needed);
}

}  // namespace

std::pair<Tensor, Tensor> KeyValueCache::append(std::size_t layer, const Tensor& keys, const Tensor& values) {
  return {append_to(keys_[layer], length_, keys), append_to(values_[layer], length_, values)};
}

}  // namespace whence::transformer
