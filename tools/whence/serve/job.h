#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "failure.h"
#include "task.h"

namespace whence::serve {

enum class JobStatus { queued, running, done, failed, cancelled };

/// "queued", "running", "done", "failed", "cancelled".
const char* status_name(JobStatus status);
/// True when nothing more will happen to it.
constexpr bool is_over(JobStatus status) { return status > JobStatus::running; }

/// Where a job stands.
struct JobState {
  std::string id;  ///< 32 hexadecimal digits that cannot be guessed
  JobStatus status = JobStatus::queued;
  std::size_t place = 0;  ///< while queued: jobs before it, with the one at work
  std::string phase;      ///< while running
  std::int64_t done = 0, total = 0;
  bool stopping = false;  ///< asked to stop, not over yet
  std::vector<std::string> warnings;
  std::optional<Failure> failure;           ///< of a failed job, or why it was cancelled
  std::shared_ptr<const JobResult> result;  ///< of a done job
};

/// Something that happened to a job, for those who listen.
struct JobEvent {
  std::int64_t id = 0;  ///< counts from 1; a progress event is replaced by a later one, so numbers may be missing
  std::string name;     ///< queued, phase, progress, warning, result, error, cancelled
  std::string data;     ///< JSON on one line
};

}  // namespace whence::serve
