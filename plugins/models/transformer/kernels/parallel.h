#pragma once

#include <cstdint>
#include <functional>

namespace whence::transformer {

/// Workers that `run_tasks` may use at once.
std::int64_t worker_count();

/// Calls task(i, worker) for every i in [0, count) on libtorch's threads; each takes the next task that none has taken,
/// so that long and short ones even out. Workers are numbered from 0. What a task throws is thrown here.
void run_tasks(std::int64_t count, const std::function<void(std::int64_t task, std::int64_t worker)>& task);

}  // namespace whence::transformer
