#include "attribute_options.h"

#include <iostream>

#include "base_options.h"
#include "computing_options.h"
#include "contrast_options.h"
#include "host/attribute.h"
#include "host/choice_value.h"
#include "host/yaml.h"
#include "viz_file.h"

namespace whence::cli {
namespace {

using host::Catalogue;
using host::Choice;
using host::Experiment;

std::vector<std::string> texts_of(const Arguments& arguments, const std::string& option) {
  std::vector<std::string> texts;
  for (const std::string& word : arguments.list(option)) {
    if (word != "-") {
      texts.push_back(word);
      continue;
    }
    for (std::string line; std::getline(std::cin, line);)
      if (!line.empty()) texts.push_back(line);
  }
  return texts;
}

void read_inputs(const Arguments& arguments, Experiment& experiment) {
  const std::vector<std::string> inputs = texts_of(arguments, "input-texts");
  if (inputs.empty())
    throw ConfigError("--input-texts: no text to attribute; give at least one, or - to read lines from standard input");
  const bool forced = arguments.has("generated-texts");
  const bool chat = arguments.on("chat");
  for (const char* option : {"system", "chat-template-kwargs"})
    if (arguments.has(option) && !chat)
      throw ConfigError("--" + std::string(option) + ": has no effect without --chat; add it");
  if (arguments.has("chat-template-kwargs"))
    experiment.chat.variables = json_option(arguments, "chat-template-kwargs").as_map();
  const std::vector<std::string> generated = texts_of(arguments, "generated-texts");
  if (forced && generated.size() != inputs.size())
    throw ConfigError("--generated-texts: " + std::to_string(generated.size()) + " text(s) for " +
                      std::to_string(inputs.size()) + " of --input-texts; give one for each");
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    host::InputText input;
    input.text = inputs[i];
    if (forced) input.generated = generated[i];
    if (chat) {
      input.messages = host::user_turn(input.text, arguments.text("system").value_or(""), {"--input-texts", 0, 0});
      input.text.clear();
    }
    input.start = arguments.integer("start-pos");
    input.end = arguments.integer("end-pos");
    if (const auto explain = arguments.text("explain"))
      input.explain = host::parse_explain(host::parse_yaml(*explain, "--explain"));
    input.src_lang = source_language(arguments);
    input.tgt_lang = target_language(arguments);
    experiment.inputs.push_back(std::move(input));
  }
  host::name_inputs(experiment.inputs);
}

}  // namespace

std::vector<Option> attribute_options() {
  using enum OptionKind;
  std::vector<Option> options = base_options();
  const std::vector<Option> own{
      {"input-texts", list, {"-i"}, "TEXT", "prompts; - reads them from standard input, one per line"},
      {"generated-texts",
       list,
       {"-g"},
       "TEXT",
       "texts to explain, one per prompt, which each begins with; generated when not given"},
      {"chat",
       boolean,
       {},
       "yes|no",
       "write each prompt as a turn of the user with the checkpoint's chat template; --generated-texts are answers"},
      {"system", value, {}, "TEXT", "with --chat: what the system says before"},
      {"chat-template-kwargs", value, {}, "JSON", "with --chat: variables of the template"},
      {"step-scores", list, {}, "NAME", "step functions recorded for every step"},
      {"start-pos",
       value,
       {"-s"},
       "N",
       "first explained position of the text; negative counts from the end; default: the end of the prompt"},
      {"end-pos",
       value,
       {"-e"},
       "N",
       "position after the last explained one; negative counts from the end; default: the end of the text"},
      {"explain",
       value,
       {},
       "UNITS",
       "explain steps as one, from one backward: whole, turn, paragraph, line, sentence or word, or 'spans: [TEXT, "
       "...]'; '{spans: [...], combine: mean}' takes the mean of their scores in place of the sum; default: token, "
       "every step by itself"},
      {"attribute-target", boolean, {}, "yes|no", "encoder-decoder models: explain by the generated prefix, too"},
      {"save-path", value, {"-o"}, "FILE", "save the attributions as JSON"},
      {"hide-attributions", boolean, {"--hide"}, "yes|no", "don't show the heatmap"},
      viz_option(),
      {"verbose", boolean, {"-v"}, "yes|no", "say what was loaded and what it cost"},
      {"very-verbose", boolean, {"-vv"}, "yes|no", "say where plugins and architectures were found, too"},
      {"granularity",
       value,
       {},
       "NAME",
       "what the result holds of methods that attribute to hidden units: token, one number for each token, or full; "
       "default: token"},
  };
  for (const std::vector<Option>& more : {own, contrast_options(), computing_options()})
    options.insert(options.end(), more.begin(), more.end());
  return options;
}

Experiment experiment_from_options(const Arguments& arguments, const Catalogue& catalogue) {
  Experiment experiment = experiment_from_base(arguments);
  read_inputs(arguments, experiment);
  experiment.attribute_target = arguments.on("attribute-target");
  std::vector<Choice> step_scores;
  for (const std::string& name : arguments.list("step-scores"))
    step_scores.push_back({name, {}, {"--step-scores", 0, 0}});
  const Value kwargs = read_contrasts(arguments, json_option(arguments, "attribution-kwargs"), experiment);
  host::AttributionSpec spec = attribution_from_base(arguments, catalogue, std::move(step_scores), kwargs);
  if (const auto granularity = arguments.text("granularity"))
    spec.granularity = host::parse_granularity(Value(*granularity, {"--granularity", 0, 0}));
  host::check_attribution(catalogue, spec);
  experiment.attributions.push_back(std::move(spec));
  host::check_contrasts(catalogue, experiment);
  host::check_explained(catalogue, experiment);
  return experiment;
}

}  // namespace whence::cli
