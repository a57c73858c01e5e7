#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "job.h"

namespace whence::serve {

/// Jobs that wait for the one worker, the job at work, and those that ended a while ago. [thread: any]
class JobQueue {
 public:
  struct Limits {
    std::size_t waiting = 16;                      ///< most jobs that wait
    std::size_t kept = 32;                         ///< most jobs that are over and still known
    std::chrono::seconds keep_time{3600};          ///< how long they are
    std::chrono::milliseconds work_time{600'000};  ///< longest time one may compute
  };

  explicit JobQueue(const Limits& limits);
  JobQueue(const JobQueue&) = delete;
  JobQueue& operator=(const JobQueue&) = delete;
  ~JobQueue();

  const Limits& limits() const { return limits_; }
  /// Is called, from any thread, whenever there are new events; set before the first job.
  void on_change(std::function<void()> changed) { changed_ = std::move(changed); }

  /// Puts a job behind the others. Empty when there is no room, or when the queue is draining.
  std::optional<JobState> submit(Task task);
  /// Empty for a job that is not known, or no more. A job at work stops at its next report of progress; one that is
  /// over stays as it is.
  std::optional<JobState> cancel(const std::string& id);
  std::optional<JobState> state(const std::string& id) const;

  struct Events {
    std::vector<JobEvent> events;
    bool over = false;  ///< no more will follow
  };
  /// Events with a larger id than `after`. Empty for a job that is not known.
  std::optional<Events> events(const std::string& id, std::int64_t after) const;

  std::size_t waiting() const;
  bool draining() const;
  /// When a refused client may try again, by how long jobs took.
  std::chrono::seconds retry_after() const;

  /// Does one job after the other on the calling thread until the queue is drained. True when a job was finished after
  /// draining had begun, whose client may still want the result.
  bool work();
  /// Takes no more jobs and cancels those that wait. True when one is at work, which may finish.
  bool drain();
  /// Asks the job at work to stop, too.
  void stop_running();

 private:
  using Clock = std::chrono::steady_clock;
  struct Job;

  Job* find(const std::string& id) const;
  void add_event(Job& job, const std::string& name, const std::string& data);
  void say_places();
  void end(Job& job, JobStatus status);
  void forget_old();
  void run(Job& job);
  void check(const Job& job) const;
  Progress begin_phase(Job& job, const std::string& label);
  void report(Job& job, std::int64_t done, std::int64_t total);
  void warn(Job& job, const std::string& text);

  const Limits limits_;
  std::function<void()> changed_ = [] {};
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::map<std::string, std::unique_ptr<Job>> jobs_;
  std::deque<Job*> waiting_, over_;
  Job* running_ = nullptr;
  bool draining_ = false;
  double seconds_per_job_ = 1;
};

}  // namespace whence::serve
