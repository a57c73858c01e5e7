#include "parallel.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>

namespace whence::transformer {

std::int64_t worker_count() { return at::get_num_threads(); }

void run_tasks(std::int64_t count, const std::function<void(std::int64_t task, std::int64_t worker)>& task) {
  std::atomic<std::int64_t> next{0};
  at::parallel_for(0, std::min(count, worker_count()), 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t worker = first; worker < last; ++worker)
      for (std::int64_t i = next++; i < count; i = next++) task(i, worker);
  });
}

}  // namespace whence::transformer
