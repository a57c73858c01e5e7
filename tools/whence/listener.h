#pragma once

#include <memory>

#include "arguments.h"
#include "host/run.h"
#include "progress_bar.h"

namespace whence::cli {

/// Shows the phases of a run on standard error; a bar stays until the next phase or the end of this object.
class ConsoleListener {
 public:
  explicit ConsoleListener(const Arguments& arguments) : arguments_(arguments) {}

  /// Refers to this object.
  host::RunListener listener();

 private:
  void say(const host::Notice& notice, const std::string& text);

  const Arguments& arguments_;
  std::unique_ptr<ProgressBar> bar_;
};

}  // namespace whence::cli
