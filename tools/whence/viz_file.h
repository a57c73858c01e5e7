#pragma once

#include <optional>
#include <string>

#include "arguments.h"
#include "host/choice_value.h"

namespace whence::cli {

/// --viz-path, a file that shows the result.
Option viz_option();

/// A file that is asked for, and who draws it.
struct VizFile {
  std::string path;
  host::Choice renderer;
};

/// Value of --viz-path, if given; the end of its name chooses the renderer. Throws ConfigError for another end, and for
/// a place that cannot be written to.
std::optional<VizFile> viz_file(const Arguments& arguments);

}  // namespace whence::cli
