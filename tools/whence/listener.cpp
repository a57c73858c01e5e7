#include "listener.h"

#include "console.h"

namespace whence::cli {

host::RunListener ConsoleListener::listener() {
  return {.phase =
              [this](const std::string& label) {
                bar_ = std::make_unique<ProgressBar>(arguments_, label);
                return bar_->callback();
              },
          .notice = [this](const std::string& text) { say(notices(arguments_), text); },
          .warn = [this](const std::string& text) { say(warnings(arguments_), text); }};
}

void ConsoleListener::say(const host::Notice& notice, const std::string& text) {
  // A line printed below a bar would be drawn over.
  if (bar_) bar_->pause();
  notice(text);
}

}  // namespace whence::cli
