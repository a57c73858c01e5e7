#pragma once

#include <string>

#include "arguments.h"
#include "host/attribute.h"
#include "whence/renderer.h"

namespace whence::cli {

/// Width of the terminal behind a file descriptor, else COLUMNS, else 80.
int terminal_width(int descriptor);
/// Value of --color: auto (the default), always or never. Throws ConfigError for another.
std::string color_choice(const Arguments& arguments);
/// Where standard output goes: --color, NO_COLOR, COLORTERM, TERM and the terminal's width decide.
Canvas output_canvas(const Arguments& arguments);
/// Prints notices and warnings on standard error, or nothing with --quiet.
host::Notice notices(const Arguments& arguments);
host::Notice warnings(const Arguments& arguments);
/// Writes a result to standard output. Throws Error when it cannot be written, e.g. on a full disk.
void print(const std::string& text);

}  // namespace whence::cli
