#pragma once

#include <chrono>
#include <string>

#include "arguments.h"
#include "whence/progress.h"

struct whence_progress;

namespace whence::cli {

/// Shows how far long work has come, on standard error: a bar with rate and time left on a terminal, a line now and
/// then when piped, nothing with --quiet. Gone from the terminal when it is destroyed.
class ProgressBar {
 public:
  ProgressBar(const Arguments& arguments, std::string label);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void update(std::int64_t done, std::int64_t total);
  Progress callback();
  /// Takes the bar off the terminal until the next update.
  void pause();

 private:
  void print_line(std::int64_t done, std::int64_t total);

  enum class Mode { silent, bar, lines };
  Mode mode_;
  std::string label_;
  bool colored_;
  whence_progress* bar_ = nullptr;
  std::chrono::steady_clock::time_point began_, printed_;
  std::int64_t last_done_ = -1;
};

}  // namespace whence::cli
