#pragma once

#include <functional>
#include <string>

#include "whence/error.h"
#include "whence/progress.h"
#include "whence/value.h"

namespace whence::serve {

/// What a finished job can be asked for.
struct JobResult {
  std::string json;  ///< as files of results have it
  std::string html;  ///< a page that shows it
};

/// Whom a task tells how far it is. Either member may throw Stopped, which the task lets through.
struct Reporter {
  std::function<Progress(const std::string& label)> phase;  ///< a long phase begins
  std::function<void(const std::string& text)> warn;
};

/// The work of one job, which computes for seconds or minutes. Runs on the worker.
using Task = std::function<JobResult(const Reporter&)>;

/// Makes the task of a request; throws ConfigError or InputError at once for a request that cannot be done. The place
/// of a value is its path in the request, e.g. "method". [thread: that of the connections]
using MakeTask = std::function<Task(const Value& request)>;

/// Ends a task whose job is no longer wanted. No error of the request, so that nothing between the progress report and
/// the worker takes it for one.
class Stopped : public Error {
 public:
  explicit Stopped(const std::string& why) : Error(ExitStatus::done, why) {}
};

}  // namespace whence::serve
