#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace whence::cli {

enum class OptionKind {
  flag,      ///< takes no value
  boolean,   ///< alone: true; or yes/no, true/false, y/n, t/f, 1/0
  value,     ///< one word; the last one given counts
  list,      ///< one or more words; the last list given counts
  repeated,  ///< one word, any number of times
};

/// One option of a command. Names are written with dashes; users may write underscores and any unambiguous prefix.
struct Option {
  std::string name;
  OptionKind kind = OptionKind::value;
  std::vector<std::string> aliases;  ///< with their dash, e.g. "-m"
  std::string value_name;
  std::string help;
};

/// Options that every command takes.
const std::vector<Option>& global_options();

/// What was given on the command line.
class Arguments {
 public:
  /// Parses the words after the command's name. Throws ConfigError that names the nearest option and `help`, the
  /// command that prints help.
  Arguments(const std::vector<std::string>& words, const std::vector<Option>& options, const std::string& help);

  bool has(const std::string& name) const { return values_.contains(name); }
  /// Value of a flag or boolean option; false when absent.
  bool on(const std::string& name) const;
  std::optional<std::string> text(const std::string& name) const;
  /// A path; throws ConfigError when it is empty, which would stand for the working directory.
  std::optional<std::string> path(const std::string& name) const;
  std::optional<std::int64_t> integer(const std::string& name) const;
  std::vector<std::string> list(const std::string& name) const;
  std::vector<std::int64_t> integers(const std::string& name) const;
  /// Words that belong to no option.
  const std::vector<std::string>& positional() const { return positional_; }

 private:
  std::map<std::string, std::vector<std::string>> values_;
  std::vector<std::string> positional_;
};

/// The lines of `--help` for a list of options, wrapped at `width` columns.
std::string describe_options(const std::vector<Option>& options, int width);
/// `text` wrapped at `width` columns, every line indented by `indent`.
std::string wrapped(const std::string& text, int indent, int width);

}  // namespace whence::cli
