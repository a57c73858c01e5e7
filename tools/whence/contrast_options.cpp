#include "contrast_options.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "host/yaml.h"

namespace whence::cli {
namespace {

/// One thing that can be said of a contrast, where it may be said.
struct Part {
  const char *option, *kwarg, *key;
};

constexpr std::array<Part, 3> kParts{{{"contrast-targets", "contrast_targets", "contrast_target"},
                                      {"contrast-sources", "contrast_sources", "contrast_source"},
                                      {"contrast-alignments", "contrast_targets_alignments", "contrast_alignment"}}};

bool is_part(const std::string& kwarg) {
  return std::ranges::any_of(kParts, [&](const Part& part) { return part.kwarg == kwarg; });
}

/// Moves what is about contrasts out of a mapping of kwargs, and out of the mappings for the parts of an attribution.
Value taken_out(const Value& kwargs, Value::Map& contrasts) {
  Value::Map rest;
  for (const auto& [key, value] : kwargs.as_map()) {
    if (!is_part(key)) {
      rest.emplace_back(key, value.is_map() ? taken_out(value, contrasts) : value);
      continue;
    }
    const auto same = std::ranges::find(contrasts, key, &Value::Map::value_type::first);
    if (same == contrasts.end())
      contrasts.emplace_back(key, value);
    else if (!(same->second == value))
      throw ConfigError(value.mark(), "'" + key +
                                          "' is given twice and differs; every function compares a text with the "
                                          "same one, so keep one");
  }
  return {std::move(rest), kwargs.mark()};
}

bool is_list_of_lists(const Value& value) {
  return value.is_list() && !value.as_list().empty() && value.as_list().front().is_list();
}

/// One value for each text, or one for all. The pairs of one text are a list of lists, too.
Value::List values_of(const Value& kwarg) {
  if (!kwarg.is_list() || kwarg.as_list().empty()) return {kwarg};
  const bool one_alignment = is_list_of_lists(kwarg) && !is_list_of_lists(kwarg.as_list().front());
  return one_alignment ? Value::List{kwarg} : kwarg.as_list();
}

/// A word of an option: text, or an alignment as an experiment has it.
Value value_of(const std::string& word, const Part& part) {
  const std::string place = "--" + std::string(part.option);
  const bool is_text = part.key != std::string_view("contrast_alignment");
  return is_text ? Value(word, {place, 0, 0}) : host::parse_yaml(word, place);
}

Value::List given(const Arguments& arguments, const Value::Map& kwargs, const Part& part) {
  const auto kwarg = std::ranges::find(kwargs, part.kwarg, &Value::Map::value_type::first);
  if (kwarg != kwargs.end() && arguments.has(part.option))
    throw ConfigError("--" + std::string(part.option) + ": " + part.kwarg +
                      " is in --attribution-kwargs, too; leave one out");
  if (kwarg != kwargs.end()) return values_of(kwarg->second);
  Value::List values;
  for (const std::string& word : arguments.list(part.option)) values.push_back(value_of(word, part));
  return values;
}

}  // namespace

std::vector<Option> contrast_options() {
  return {
      {"contrast-targets",
       OptionKind::list,
       {},
       "TEXT",
       "texts that step functions such as contrast_prob_diff compare with, in the form of --generated-texts; one per "
       "prompt, or one for all"},
      {"contrast-sources",
       OptionKind::list,
       {},
       "TEXT",
       "encoder-decoder models: sources to compare with; one per prompt, or one for all"},
      {"contrast-alignments",
       OptionKind::list,
       {},
       "HOW",
       "which token of --contrast-targets each explained one is compared with: right, counted from the end; auto, by "
       "equal and similar tokens; '{model: PATH, layer: N}', by similar states of a model; or pairs of positions, "
       "'[[5, 4], [6, 4]]'; one per prompt, or one for all; default: right"}};
}

Value read_contrasts(const Arguments& arguments, const Value& attribution_kwargs, host::Experiment& experiment) {
  Value::Map kwargs;
  Value rest = taken_out(attribution_kwargs, kwargs);
  std::vector<Value::Map> contrasts(experiment.inputs.size());
  for (const Part& part : kParts) {
    const Value::List values = given(arguments, kwargs, part);
    if (values.size() > 1 && values.size() != contrasts.size())
      throw ConfigError(values.front().mark(), std::to_string(values.size()) + " given for " +
                                                   std::to_string(contrasts.size()) +
                                                   " of --input-texts; give one for each, or one for all");
    if (values.empty()) continue;
    for (std::size_t i = 0; i < contrasts.size(); ++i)
      contrasts[i].emplace_back(part.key, values.size() == 1 ? values.front() : values[i]);
  }
  for (std::size_t i = 0; i < contrasts.size(); ++i)
    experiment.inputs[i].contrast =
        host::parse_contrast(Value(std::move(contrasts[i])), std::filesystem::current_path());
  return rest;
}

}  // namespace whence::cli
