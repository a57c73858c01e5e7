#include <cmath>

#include "command.h"
#include "computing_options.h"
#include "console.h"
#include "host/reproduce.h"
#include "json_value.h"
#include "listener.h"
#include "session.h"

namespace whence::cli {
namespace {

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", value);
  return text;
}

std::string as_text(const host::Reproduction& reproduction) {
  std::string text;
  for (const std::string& change : reproduction.changes) text += "changed: " + change + "\n";
  for (const host::TensorDeviation& tensor : reproduction.tensors) {
    text += tensor.attribution + ", sequence " + tensor.sequence + ", " + tensor.tensor + ": ";
    if (!tensor.problem.empty())
      text += tensor.problem;
    else if (tensor.tensor == "tokens")
      text += "equal";
    else
      text += "largest deviation " + number(tensor.largest_absolute) + " absolute, " + number(tensor.largest_relative) +
              " relative";
    text += tensor.agrees ? "\n" : " - DISAGREES\n";
  }
  return text;
}

std::string as_json(const host::Reproduction& reproduction) {
  auto tensors = nlohmann::ordered_json::array();
  for (const host::TensorDeviation& tensor : reproduction.tensors)
    tensors.push_back({{"attribution", tensor.attribution},
                       {"sequence", tensor.sequence},
                       {"tensor", tensor.tensor},
                       {"largest_absolute", tensor.largest_absolute},
                       {"largest_relative", tensor.largest_relative},
                       {"agrees", tensor.agrees},
                       {"problem", tensor.problem}});
  return nlohmann::ordered_json{
             {"agrees", reproduction.agrees}, {"changes", reproduction.changes}, {"tensors", tensors}}
             .dump(2) +
         "\n";
}

double tolerance_from(const Arguments& arguments, double otherwise) {
  const auto word = arguments.text("tolerance");
  if (!word) return otherwise;
  char* end = nullptr;
  const double value = std::strtod(word->c_str(), &end);
  if (end == word->c_str() || *end || !std::isfinite(value) || value < 0)
    throw ConfigError("--tolerance: '" + *word + "' is no number of 0 or more");
  return value;
}

int run(const Arguments& arguments) {
  expect_positional(arguments, 1, 1, "the run directory");
  set_threads(arguments, 0);
  const Session session(arguments);
  host::ReproduceOptions options;
  // Relative and absolute part keep their proportion.
  const double proportion = options.absolute / options.relative;
  options.relative = tolerance_from(arguments, options.relative);
  options.absolute = options.relative * proportion;
  options.allow_changed = arguments.on("allow-changed");
  options.model = arguments.path("model");
  options.memory_bytes = given_memory(arguments);
  host::Reproduction reproduction;
  {
    ConsoleListener listener(arguments);
    options.listener = listener.listener();
    reproduction = host::reproduce(session.host, arguments.positional().front(), options);
  }
  print(arguments.on("json") ? as_json(reproduction) : as_text(reproduction));
  if (!reproduction.agrees)
    throw DisagreementError(arguments.positional().front() +
                            ": the results made now disagree with the stored ones by more than the tolerance " +
                            number(options.relative));
  notices(arguments)("reproduced: every tensor agrees within the tolerance " + number(options.relative));
  return 0;
}

}  // namespace

Command reproduce_command() {
  using enum OptionKind;
  return {
      "reproduce",
      "DIR [options]",
      "Run a stored run again and compare the numbers",
      "Makes the run in DIR again from its resolved experiment and prints the largest deviation of every tensor; the "
      "exit status is 6 when one "
      "is beyond the tolerance. Plugin folders named in DIR are not searched: name those you trust with --plugin-path.",
      {{"tolerance",
        value,
        {},
        "R",
        "allowed deviation, relative to each stored number, plus a hundredth of it relative to the largest number of "
        "the tensor; default: 0.001"},
       {"allow-changed", flag, {}, "", "compare even if the checkpoint is not the one of the run"},
       {"model", value, {"-m"}, "PATH", "the checkpoint, if it lies elsewhere now"},
       memory_option()},
      run,
      /*computes=*/true};
}

}  // namespace whence::cli
