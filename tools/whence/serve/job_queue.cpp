#include "job_queue.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <random>

#include "json_text.h"

namespace whence::serve {
namespace {

constexpr const char* kCancelled = "the job was cancelled";
/// More often nobody can look at progress.
constexpr std::chrono::milliseconds kBetweenReports{50};

std::string random_id() {
  std::random_device device;  // reads the system's generator: ids are what protects results of others
  std::string id;
  for (int i = 0; i < 4; ++i) {
    std::array<char, 9> digits{};
    std::snprintf(digits.data(), digits.size(), "%08x", static_cast<unsigned>(device()));
    id += digits.data();
  }
  return id;
}

}  // namespace

const char* status_name(JobStatus status) {
  constexpr std::array kNames{"queued", "running", "done", "failed", "cancelled"};
  return kNames.at(static_cast<std::size_t>(status));
}

struct JobQueue::Job {
  JobState state;
  Task task;
  std::vector<JobEvent> events;
  std::int64_t last_event = 0;
  Clock::time_point ended, deadline = Clock::time_point::max(), reported;
};

JobQueue::JobQueue(const Limits& limits) : limits_(limits) {}
JobQueue::~JobQueue() = default;

JobQueue::Job* JobQueue::find(const std::string& id) const {
  const auto job = jobs_.find(id);
  return job == jobs_.end() ? nullptr : job->second.get();
}

/// A place or a number that a newer one makes pointless is replaced, so that a job has few events however long it runs.
void JobQueue::add_event(Job& job, const std::string& name, const std::string& data) {
  const bool fleeting = name == "progress" || name == "queued";
  if (fleeting && !job.events.empty() && job.events.back().name == name) job.events.pop_back();
  job.events.push_back({++job.last_event, name, data});
}

void JobQueue::say_places() {
  for (std::size_t i = 0; i < waiting_.size(); ++i) {
    Job& job = *waiting_[i];
    const std::size_t place = i + (running_ ? 1 : 0);
    if (job.state.place == place && job.last_event > 0) continue;
    job.state.place = place;
    add_event(job, "queued", json_text({{"place", place}}));
  }
}

void JobQueue::end(Job& job, JobStatus status) {
  job.state.status = status;
  job.state.stopping = false;
  job.task = nullptr;  // what it holds, such as texts
  job.ended = Clock::now();
  if (status == JobStatus::done)
    add_event(job, "result",
              json_text({{"json", "/api/jobs/" + job.state.id + "/result.json"},
                         {"html", "/api/jobs/" + job.state.id + "/result.html"}}));
  else
    add_event(job, status == JobStatus::cancelled ? "cancelled" : "error", failure_json(*job.state.failure));
  over_.push_back(&job);
  say_places();
  forget_old();
}

void JobQueue::forget_old() {
  while (!over_.empty() && (over_.size() > limits_.kept || Clock::now() - over_.front()->ended > limits_.keep_time)) {
    jobs_.erase(over_.front()->state.id);
    over_.pop_front();
  }
}

std::optional<JobState> JobQueue::submit(Task task) {
  JobState state;
  {
    const std::lock_guard lock(mutex_);
    forget_old();
    if (draining_ || waiting_.size() >= limits_.waiting + (running_ ? 0 : 1)) return {};
    auto job = std::make_unique<Job>();
    job->state.id = random_id();
    job->task = std::move(task);
    waiting_.push_back(job.get());
    jobs_[job->state.id] = std::move(job);
    say_places();
    state = waiting_.back()->state;
  }
  wake_.notify_one();
  changed_();
  return state;
}

std::optional<JobState> JobQueue::cancel(const std::string& id) {
  JobState state;
  {
    const std::lock_guard lock(mutex_);
    Job* job = find(id);
    if (!job) return {};
    if (job->state.status == JobStatus::queued) {
      std::erase(waiting_, job);
      job->state.failure = Failure{0, "", kCancelled};
      end(*job, JobStatus::cancelled);
      if (!(job = find(id))) return {};  // where none is kept
    } else if (job->state.status == JobStatus::running) {
      job->state.stopping = true;
    }
    state = job->state;
  }
  changed_();
  return state;
}

std::optional<JobState> JobQueue::state(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const Job* job = find(id);
  return job ? std::optional(job->state) : std::nullopt;
}

std::optional<JobQueue::Events> JobQueue::events(const std::string& id, std::int64_t after) const {
  const std::lock_guard lock(mutex_);
  const Job* job = find(id);
  if (!job) return {};
  const auto first = std::ranges::find_if(job->events, [&](const JobEvent& event) { return event.id > after; });
  return Events{{first, job->events.end()}, is_over(job->state.status)};
}

std::size_t JobQueue::waiting() const {
  const std::lock_guard lock(mutex_);
  return waiting_.size();
}

bool JobQueue::draining() const {
  const std::lock_guard lock(mutex_);
  return draining_;
}

std::chrono::seconds JobQueue::retry_after() const {
  constexpr double kLongest = 120;
  const std::lock_guard lock(mutex_);
  return std::chrono::seconds(static_cast<int>(std::clamp(std::ceil(seconds_per_job_), 1.0, kLongest)));
}

bool JobQueue::drain() {
  bool at_work;
  {
    const std::lock_guard lock(mutex_);
    draining_ = true;
    while (!waiting_.empty()) {
      Job& job = *waiting_.front();
      waiting_.pop_front();
      job.state.failure = Failure{0, "", "the server stops; submit the job to the next one"};
      end(job, JobStatus::cancelled);
    }
    at_work = running_ != nullptr;
  }
  wake_.notify_one();
  changed_();
  return at_work;
}

void JobQueue::stop_running() {
  const std::lock_guard lock(mutex_);
  if (running_) running_->state.stopping = true;
}

bool JobQueue::work() {
  constexpr std::chrono::seconds kBetweenCleanups{10};
  bool finished = false;
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait_for(lock, kBetweenCleanups, [&] { return draining_ || !waiting_.empty(); });
    forget_old();
    if (waiting_.empty()) {
      if (draining_) return finished;
      continue;
    }
    running_ = waiting_.front();
    waiting_.pop_front();
    running_->state.status = JobStatus::running;
    running_->deadline = Clock::now() + limits_.work_time;
    say_places();
    lock.unlock();
    run(*running_);
    lock.lock();
    finished = draining_;
  }
}

/// A job at work is forgotten by nobody, so it can be used without the lock where only the worker writes.
void JobQueue::run(Job& job) {
  changed_();
  const auto began = Clock::now();
  const Reporter reporter{[&](const std::string& label) { return begin_phase(job, label); },
                          [&](const std::string& text) { warn(job, text); }};
  JobStatus status = JobStatus::done;
  std::optional<Failure> failure;
  std::shared_ptr<const JobResult> result;
  try {
    result = std::make_shared<const JobResult>(job.task(reporter));
  } catch (const Stopped& stopped) {
    status = JobStatus::cancelled;
    failure = Failure{0, "", stopped.what()};
  } catch (...) {
    status = JobStatus::failed;
    failure = failure_from(std::current_exception());
  }
  {
    const std::lock_guard lock(mutex_);
    constexpr double kShareOfNew = 0.3;
    const std::chrono::duration<double> took = Clock::now() - began;
    seconds_per_job_ += kShareOfNew * (took.count() - seconds_per_job_);
    job.state.failure = std::move(failure);
    job.state.result = std::move(result);
    running_ = nullptr;
    end(job, status);
  }
  changed_();
}

void JobQueue::check(const Job& job) const {
  if (job.state.stopping) throw Stopped(draining_ ? "the server stops; submit the job to the next one" : kCancelled);
  if (Clock::now() > job.deadline)
    throw Error(ExitStatus::defect,
                "the job took longer than the " +
                    std::to_string(std::chrono::duration_cast<std::chrono::seconds>(limits_.work_time).count()) +
                    " s that this server gives one; shorten the texts or choose a cheaper method");
}

Progress JobQueue::begin_phase(Job& job, const std::string& label) {
  {
    const std::lock_guard lock(mutex_);
    check(job);
    job.state.phase = label;
    job.state.done = job.state.total = 0;
    job.reported = {};
    add_event(job, "phase", json_text({{"phase", label}}));
  }
  changed_();
  return [this, &job](std::int64_t done, std::int64_t total) { report(job, done, total); };
}

void JobQueue::report(Job& job, std::int64_t done, std::int64_t total) {
  {
    const std::lock_guard lock(mutex_);
    check(job);
    job.state.done = done;
    job.state.total = total;
    const auto now = Clock::now();
    if (done != total && now - job.reported < kBetweenReports) return;
    job.reported = now;
    add_event(job, "progress", json_text({{"phase", job.state.phase}, {"done", done}, {"total", total}}));
  }
  changed_();
}

void JobQueue::warn(Job& job, const std::string& text) {
  {
    const std::lock_guard lock(mutex_);
    check(job);
    job.state.warnings.push_back(text);
    add_event(job, "warning", json_text({{"message", text}}));
  }
  changed_();
}

}  // namespace whence::serve
