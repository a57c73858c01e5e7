#include <algorithm>

#include "command.h"
#include "whence/error.h"

namespace whence::cli {

const std::vector<Command>& commands() {
  static const std::vector<Command> kCommands{
      attribute_command(), attribute_context_command(), run_command(),      view_command(),
      list_command(),      describe_command(),          validate_command(), reproduce_command(),
      compare_command(),   evaluate_command(),          doctor_command(),   serve_command()};
  return kCommands;
}

std::string program_help(int width) {
  std::string text = "usage: whence COMMAND [options]\n\nSays where each generated token came from.\n\ncommands:\n";
  std::size_t longest = 0;
  for (const Command& command : commands()) longest = std::max(longest, command.name.size());
  for (const Command& command : commands())
    text += "  " + command.name + std::string(longest + 2 - command.name.size(), ' ') + command.summary + "\n";
  text +=
      "\n'whence COMMAND --help' tells more about a command; 'whence --version' prints the version.\n\noptions of "
      "every command:\n";
  return text + describe_options(global_options(), width);
}

std::string command_help(const Command& command, int width) {
  std::string text =
      "usage: whence " + command.name + " " + command.usage + "\n\n" + wrapped(command.summary + ".", 0, width);
  std::string_view rest = command.details;
  while (!rest.empty()) {
    const std::string_view paragraph = rest.substr(0, rest.find("\n\n"));
    rest.remove_prefix(std::min(rest.size(), paragraph.size() + 2));
    text += '\n' + wrapped(std::string(paragraph), 0, width);
  }
  if (!command.options.empty()) text += "\noptions:\n" + describe_options(command.options, width);
  return text + "\noptions of every command:\n" + describe_options(global_options(), width);
}

void expect_positional(const Arguments& arguments, std::size_t least, std::size_t most, const std::string& what) {
  const auto& words = arguments.positional();
  if (words.size() < least) throw ConfigError(what + " is missing");
  if (!words.empty() && words.size() <= most && std::find(words.begin(), words.end(), "") != words.end())
    throw ConfigError("an empty argument; expected " + what);
  if (words.size() > most)
    throw ConfigError("unexpected argument '" + words[most] + "'" + (what.empty() ? "" : "; expected " + what));
}

}  // namespace whence::cli
