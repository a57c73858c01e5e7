#include "progress_bar.h"

#include <unistd.h>
#include <whence_progress.h>

#include <cstdio>
#include <cstdlib>

namespace whence::cli {
namespace {

constexpr auto kBetweenLines = std::chrono::seconds(5);

}  // namespace

ProgressBar::ProgressBar(const Arguments& arguments, std::string label)
    : mode_(arguments.on("quiet")   ? Mode::silent
            : isatty(STDERR_FILENO) ? Mode::bar
                                    : Mode::lines),
      label_(std::move(label)),
      colored_(!std::getenv("NO_COLOR") && arguments.text("color") != "never"),
      began_(std::chrono::steady_clock::now()),
      printed_(began_) {}

ProgressBar::~ProgressBar() { pause(); }

void ProgressBar::pause() {
  whence_progress_finish(bar_);
  bar_ = nullptr;
}

void ProgressBar::update(std::int64_t done, std::int64_t total) {
  if (mode_ == Mode::silent || total <= 0 || done == last_done_) return;
  last_done_ = done;
  if (mode_ == Mode::lines) return print_line(done, total);
  if (!bar_) bar_ = whence_progress_new(label_.data(), label_.size(), static_cast<std::uint64_t>(total), colored_);
  whence_progress_update(bar_, static_cast<std::uint64_t>(done), static_cast<std::uint64_t>(total));
}

Progress ProgressBar::callback() {
  return [this](std::int64_t done, std::int64_t total) { update(done, total); };
}

void ProgressBar::print_line(std::int64_t done, std::int64_t total) {
  const auto now = std::chrono::steady_clock::now();
  if (now - printed_ < kBetweenLines && done < total) return;
  printed_ = now;
  const double seconds = std::chrono::duration<double>(now - began_).count();
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  if (done < total && rate > 0)
    std::fprintf(stderr, "whence: %s: %lld/%lld, %.2f/s, %.0f s left\n", label_.c_str(), static_cast<long long>(done),
                 static_cast<long long>(total), rate, static_cast<double>(total - done) / rate);
  else
    std::fprintf(stderr, "whence: %s: %lld/%lld, %.1f s\n", label_.c_str(), static_cast<long long>(done),
                 static_cast<long long>(total), seconds);
}

}  // namespace whence::cli
