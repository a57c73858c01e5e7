#include "arguments.h"

#include <boost/program_options/options_description.hpp>
#include <boost/program_options/parsers.hpp>
#include <charconv>
#include <sstream>

#include "whence/error.h"

namespace whence::cli {
namespace {

namespace po = boost::program_options;

/// What a word says as the value of a boolean option, if anything.
std::optional<bool> truth(const std::string& word) {
  std::string lower;
  for (const unsigned char c : word) lower += static_cast<char>(std::tolower(c));
  static const std::vector<std::string> kTrue{"yes", "true", "t", "y", "1"}, kFalse{"no", "false", "f", "n", "0"};
  if (std::find(kTrue.begin(), kTrue.end(), lower) != kTrue.end()) return true;
  if (std::find(kFalse.begin(), kFalse.end(), lower) != kFalse.end()) return false;
  return {};
}

std::int64_t integer_from(const std::string& option, const std::string& word) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (error != std::errc() || end != word.data() + word.size())
    throw ConfigError("--" + option + ": '" + word + "' is no integer");
  return number;
}

ConfigError unknown_option(const std::string& word, const std::vector<Option>& options, const std::string& help) {
  std::vector<std::string> names;
  for (const Option& option : options) names.push_back(option.name);
  const std::string nearest = word.starts_with("--") ? nearest_name(word.substr(2), names) : "";
  return ConfigError("unknown option '" + word + "'" + (nearest.empty() ? ";" : "; did you mean '--" + nearest + "'?") +
                     " see " + help);
}

using OptionsByWord = std::map<std::string, const Option*>;

/// The option that a word names in full, by an alias or by an unambiguous prefix; null otherwise.
const Option* option_of(const std::string& word, const OptionsByWord& by_word) {
  const auto found = by_word.lower_bound(word);
  if (found == by_word.end()) return nullptr;
  if (found->first == word) return found->second;
  const bool prefix = word.size() > 2 && word.starts_with("--") && found->first.starts_with(word);
  const auto next = std::next(found);
  return prefix && (next == by_word.end() || !next->first.starts_with(word)) ? found->second : nullptr;
}

/// Words in the form the parser knows: long names with dashes, aliases written out, values joined to boolean options.
/// After this a word with one dash is a value, so negative positions need no special care.
std::vector<std::string> normalized(const std::vector<std::string>& words, const std::vector<Option>& options,
                                    const std::string& help) {
  OptionsByWord by_word;
  for (const Option& option : options) {
    by_word["--" + option.name] = &option;
    for (const std::string& alias : option.aliases) by_word[alias] = &option;
  }
  std::vector<std::string> result;
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::string name = words[i].substr(0, words[i].find('='));
    std::string rest = words[i].substr(name.size());
    if (name.size() < 2 || name[0] != '-' || name.find(' ') != std::string::npos) {
      result.push_back(words[i]);
      continue;
    }
    std::replace(name.begin(), name.end(), '_', '-');
    const Option* option = option_of(name, by_word);
    if (!option) {
      if (name[1] != '-' && std::isalpha(static_cast<unsigned char>(name[1])))
        throw unknown_option(name, options, help);
      result.push_back(name[1] == '-' ? name + rest : words[i]);
      continue;
    }
    if (option->kind == OptionKind::boolean && rest.empty())
      rest = i + 1 < words.size() && !words[i + 1].starts_with('-') ? "=" + words[++i] : "=true";
    result.push_back("--" + option->name + rest);
  }
  return result;
}

po::options_description description_of(const std::vector<Option>& options) {
  po::options_description description;
  for (const Option& option : options) {
    switch (option.kind) {
      case OptionKind::flag:
        description.add_options()(option.name.c_str(), "");
        break;
      case OptionKind::list:
        description.add_options()(option.name.c_str(), po::value<std::vector<std::string>>()->multitoken(), "");
        break;
      default:
        description.add_options()(option.name.c_str(), po::value<std::string>(), "");
    }
  }
  return description;
}

const Option& named(const std::vector<Option>& options, const std::string& name) {
  return *std::find_if(options.begin(), options.end(), [&](const Option& option) { return option.name == name; });
}

}  // namespace

const std::vector<Option>& global_options() {
  static const std::vector<Option> kOptions{
      {"plugin-path",
       OptionKind::repeated,
       {},
       "DIR",
       "folder to search for plugins, before WHENCE_PLUGIN_PATH and the installed ones; may be given more than once"},
      {"threads", OptionKind::value, {}, "N", "threads to compute with; default: those of the machine"},
      {"color", OptionKind::value, {}, "WHEN", "auto, always or never; auto colours terminals unless NO_COLOR is set"},
      {"json", OptionKind::flag, {}, "", "print the result as JSON"},
      {"quiet", OptionKind::flag, {}, "", "no progress, notices or warnings on standard error"},
      {"help", OptionKind::flag, {"-h"}, "", "print this text"},
  };
  return kOptions;
}

Arguments::Arguments(const std::vector<std::string>& words, const std::vector<Option>& options,
                     const std::string& help) {
  po::options_description description = description_of(options);
  std::vector<po::option> parsed;
  try {
    namespace style = po::command_line_style;
    parsed = po::command_line_parser(normalized(words, options, help))
                 .options(description)
                 .style(style::allow_long | style::long_allow_next | style::long_allow_adjacent | style::allow_guessing)
                 .run()
                 .options;
  } catch (const po::ambiguous_option& error) {
    std::string alternatives;
    for (const std::string& name : error.alternatives()) alternatives += (alternatives.empty() ? "--" : ", --") + name;
    throw ConfigError("option '" + error.get_option_name() + "' is ambiguous between " + alternatives +
                      "; write more of its name");
  } catch (const po::unknown_option& error) {
    throw unknown_option(error.get_option_name(), options, help);
  } catch (const po::error_with_option_name& error) {
    throw ConfigError(std::string(error.what()) + "; see " + help);
  }
  for (const po::option& given : parsed) {
    if (given.string_key.empty()) {
      positional_.insert(positional_.end(), given.value.begin(), given.value.end());
      continue;
    }
    const Option& option = named(options, given.string_key);
    std::vector<std::string>& value = values_[option.name];
    if (option.kind != OptionKind::repeated) value.clear();
    value.insert(value.end(), given.value.begin(), given.value.end());
    if (option.kind == OptionKind::boolean && !truth(value.front()))
      throw ConfigError("--" + option.name + ": '" + value.front() + "' is neither yes nor no");
  }
}

bool Arguments::on(const std::string& name) const {
  const auto found = values_.find(name);
  if (found == values_.end()) return false;
  return found->second.empty() || truth(found->second.front()).value_or(false);
}

std::optional<std::string> Arguments::text(const std::string& name) const {
  const auto found = values_.find(name);
  if (found == values_.end()) return {};
  return found->second.front();
}

std::optional<std::string> Arguments::path(const std::string& name) const {
  auto word = text(name);
  if (word && word->empty()) throw ConfigError("--" + name + ": the path is empty; name one, or leave the option out");
  return word;
}

std::optional<std::int64_t> Arguments::integer(const std::string& name) const {
  const auto word = text(name);
  if (!word) return {};
  return integer_from(name, *word);
}

std::vector<std::string> Arguments::list(const std::string& name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::vector<std::string>{} : found->second;
}

std::vector<std::int64_t> Arguments::integers(const std::string& name) const {
  std::vector<std::int64_t> numbers;
  for (const std::string& word : list(name)) numbers.push_back(integer_from(name, word));
  return numbers;
}

std::string wrapped(const std::string& text, int indent, int width) {
  std::istringstream words(text);
  std::string result, line, word;
  const auto room = static_cast<std::size_t>(std::max(20, width - indent));
  while (words >> word) {
    if (!line.empty() && line.size() + 1 + word.size() > room) {
      result += std::string(indent, ' ') + line + '\n';
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
  }
  return line.empty() ? result : result + std::string(indent, ' ') + line + '\n';
}

std::string describe_options(const std::vector<Option>& options, int width) {
  constexpr int kIndent = 6;
  std::string text;
  for (const Option& option : options) {
    text += "  --" + option.name;
    for (const std::string& alias : option.aliases) text += ", " + alias;
    if (!option.value_name.empty())
      text += option.kind == OptionKind::boolean
                  ? " [" + option.value_name + "]"
                  : " " + option.value_name + (option.kind == OptionKind::list ? "..." : "");
    text += '\n' + wrapped(option.help, kIndent, width);
  }
  return text;
}

}  // namespace whence::cli
