#pragma once

#include <string>
#include <vector>

#include "arguments.h"

namespace whence::cli {

/// One command: everything `--help` and the parser need, and what it does.
struct Command {
  std::string name;
  std::string usage;    ///< what follows the name, e.g. "FILE [options]"
  std::string summary;  ///< one line
  std::string details;  ///< a paragraph or more for its own help; paragraphs are separated by blank lines
  std::vector<Option> options;
  /// Returns the exit status; throws whence::Error.
  int (*run)(const Arguments& arguments);
  bool computes = false;  ///< whether it runs a model
};

Command attribute_command();
Command attribute_context_command();
Command run_command();
Command view_command();
Command list_command();
Command describe_command();
Command validate_command();
Command reproduce_command();
Command compare_command();
Command evaluate_command();
Command doctor_command();
Command serve_command();

/// Every command, in the order of the help.
const std::vector<Command>& commands();
/// Help of the program, or of one command.
std::string program_help(int width);
std::string command_help(const Command& command, int width);

/// Throws ConfigError unless the number of words beside options is within [least, most]; `what` names them.
void expect_positional(const Arguments& arguments, std::size_t least, std::size_t most, const std::string& what);

}  // namespace whence::cli
