#pragma once

#include <chrono>
#include <ctime>

namespace whence::bench {

/// Wall time, and processor time of all threads, in seconds.
struct Seconds {
  double wall = 0, processor = 0;
};

/// Starts when it is made.
class Stopwatch {
 public:
  Seconds elapsed() const {
    return {std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count(),
            processor_seconds() - began_processor_};
  }

 private:
  static double processor_seconds() {
    timespec time{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  }

  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  double began_processor_ = processor_seconds();
};

}  // namespace whence::bench
