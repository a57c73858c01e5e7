#include <c10/util/Exception.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>

#include "command.h"
#include "console.h"
#include "session.h"
#include "whence/error.h"

namespace whence::cli {
namespace {

const Command* find_command(const std::string& name) {
  for (const Command& command : commands())
    if (command.name == name) return &command;
  return nullptr;
}

/// Position of the command among the words: the first that is neither a global option nor its value.
std::size_t command_position(const std::vector<std::string>& words) {
  std::size_t at = 0;
  for (; at < words.size() && words[at].starts_with("-"); ++at)
    for (const Option& option : global_options())
      if (words[at] == "--" + option.name && option.kind != OptionKind::flag) ++at;
  return at;
}

/// Starts the program again with OpenMP threads that sleep while they wait, unless the user chose. Threads that wait by
/// spinning take the processor from the one they wait for as soon as anything else runs on the machine: with two busy
/// processors an attribution took five times as long. The choice is read while libraries are loaded, so it must come
/// from outside.
void wait_passively(char** arguments) {
  if (std::getenv("OMP_WAIT_POLICY")) return;
  setenv("OMP_WAIT_POLICY", "passive", 0);
  execv("/proc/self/exe", arguments);  // where that is not possible, everything still works, only slower
}

int run(std::vector<std::string> words, char** arguments_of_program) {
  const int width = std::min(terminal_width(1), 100);
  const std::size_t at = command_position(words);
  if (at >= words.size()) {
    const Arguments arguments(
        words,
        [] {
          std::vector<Option> options = global_options();
          options.push_back({"version", OptionKind::flag, {}, "", "print the version"});
          return options;
        }(),
        "whence --help");
    print(arguments.has("version") ? "whence " WHENCE_VERSION "\n" : program_help(width));
    return 0;
  }
  const Command* command = find_command(words[at]);
  if (!command) {
    std::vector<std::string> names;
    for (const Command& known : commands()) names.push_back(known.name);
    throw UnknownName({}, "command", words[at], names);
  }
  words.erase(words.begin() + static_cast<std::ptrdiff_t>(at));
  std::vector<Option> options = command->options;
  options.insert(options.end(), global_options().begin(), global_options().end());
  const Arguments arguments(words, options, "whence " + command->name + " --help");
  if (arguments.on("help")) {
    print(command_help(*command, width));
    return 0;
  }
  // A wrong value is an error even where the command has no use for it.
  given_threads(arguments);
  color_choice(arguments);
  if (command->computes) wait_passively(arguments_of_program);
  return command->run(arguments);
}

/// Keeps files that are opened later from becoming a standard stream that the caller closed; writing to one stays an
/// error.
void occupy_closed_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (fcntl(stream, F_GETFD) < 0) open("/dev/null", O_RDONLY);
}

int fail(ExitStatus status, const char* text) {
  std::fprintf(stderr, "whence: error: %s\n", text);
  return static_cast<int>(status);
}

}  // namespace
}  // namespace whence::cli

int main(int argc, char** argv) {
  using whence::ExitStatus;
  const std::vector<std::string> words(argv + (argc > 0), argv + argc);
  whence::cli::occupy_closed_streams();
  try {
    return whence::cli::run(words, argv);
  } catch (const whence::Error& error) {
    return whence::cli::fail(error.status(), error.what());
  } catch (const std::filesystem::filesystem_error& error) {
    return whence::cli::fail(ExitStatus::input,
                             (error.path1().string() + ": cannot be used: " + error.code().message()).c_str());
  } catch (const c10::Error& error) {
    return whence::cli::fail(
        ExitStatus::defect,
        (std::string("defect in whence, please report it: ") + error.what_without_backtrace()).c_str());
  } catch (const std::exception& error) {
    return whence::cli::fail(ExitStatus::defect,
                             (std::string("defect in whence, please report it: ") + error.what()).c_str());
  } catch (...) {
    return whence::cli::fail(ExitStatus::defect, "defect in whence, please report it: an exception of unknown type");
  }
}
