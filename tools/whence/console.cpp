#include "console.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace whence::cli {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

ColorDepth depth_of_terminal() {
  const std::string colors = variable("COLORTERM");
  return colors == "truecolor" || colors == "24bit" ? ColorDepth::truecolor : ColorDepth::ansi256;
}

}  // namespace

int terminal_width(int descriptor) {
  winsize size{};
  if (ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  const int columns = std::atoi(variable("COLUMNS").c_str());
  return columns > 0 ? columns : 80;
}

std::string color_choice(const Arguments& arguments) {
  const std::string when = arguments.text("color").value_or("auto");
  if (when != "auto" && when != "always" && when != "never")
    throw UnknownName({}, "value of --color", when, {"auto", "always", "never"});
  return when;
}

Canvas output_canvas(const Arguments& arguments) {
  const std::string when = color_choice(arguments);
  const std::string terminal = variable("TERM");
  const bool capable = isatty(STDOUT_FILENO) && variable("NO_COLOR").empty() && !terminal.empty() && terminal != "dumb";
  const bool colored = when == "always" || (when == "auto" && capable);
  return {terminal_width(STDOUT_FILENO), colored ? depth_of_terminal() : ColorDepth::none};
}

host::Notice notices(const Arguments& arguments) {
  if (arguments.on("quiet")) return [](const std::string&) {};
  return [](const std::string& text) { std::fprintf(stderr, "whence: %s\n", text.c_str()); };
}

host::Notice warnings(const Arguments& arguments) {
  return [notice = notices(arguments)](const std::string& text) { notice("warning: " + text); };
}

void print(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    throw InputError(std::string("standard output: cannot be written: ") + std::strerror(errno));
}

}  // namespace whence::cli
