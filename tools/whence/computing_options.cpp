#include "computing_options.h"

namespace whence::cli {
namespace {

/// The word of an option as a value of an experiment, with the option as its place.
std::optional<Value> option_value(const Arguments& arguments, const std::string& name) {
  const auto word = arguments.text(name);
  if (!word) return {};
  return Value(*word, {"--" + name, 0, 0});
}

}  // namespace

Option memory_option() {
  return {"memory",
          OptionKind::value,
          {},
          "BYTES",
          "budget that weights and passes share, e.g. 2GiB; default: a share of the free memory"};
}

std::vector<Option> model_options() {
  using enum OptionKind;
  return {memory_option(),
          {"dtype", value, {}, "NAME", "how to compute: float32, mixed or bfloat16"},
          {"weights", value, {}, "NAME", "how to hold the weights: unpacked, packed as stored, or auto, what fits"}};
}

std::vector<Option> computing_options() {
  using enum OptionKind;
  std::vector<Option> options = model_options();
  options.push_back({"plan", flag, {}, "", "say what would be done and what it takes; attribute nothing"});
  options.push_back({"stats", flag, {}, "", "say on standard error what was done and what it took"});
  return options;
}

std::optional<std::int64_t> given_memory(const Arguments& arguments) {
  const auto memory = option_value(arguments, "memory");
  if (!memory) return {};
  return host::parse_bytes(*memory);
}

void apply_computing_options(const Arguments& arguments, host::Experiment& experiment) {
  experiment.memory_bytes = given_memory(arguments).value_or(experiment.memory_bytes);
  if (const auto dtype = option_value(arguments, "dtype")) experiment.dtype = host::parse_dtype(*dtype);
  if (const auto weights = option_value(arguments, "weights")) experiment.weights = host::parse_weights(*weights);
}

}  // namespace whence::cli
