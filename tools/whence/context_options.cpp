#include "context_options.h"

#include <cmath>

#include "base_options.h"
#include "computing_options.h"
#include "host/checked_value.h"
#include "host/run_directory.h"
#include "json_value.h"
#include "viz_file.h"

namespace whence::cli {
namespace {

using host::ContextInput;
using host::ContextSpec;

Mark place_of(const std::string& option) { return {"--" + option, 0, 0}; }

/// A template in the place of the option that gives it.
std::optional<host::ContextTemplate> template_from(const Arguments& arguments, const std::string& option) {
  const auto text = arguments.text(option);
  if (!text) return {};
  return host::ContextTemplate{*text, place_of(option)};
}

double number_from(const Arguments& arguments, const std::string& option, double otherwise) {
  const auto text = arguments.text(option);
  if (!text) return otherwise;
  std::size_t read = 0;
  double number = 0;
  try {
    number = std::stod(*text, &read);
  } catch (const std::exception&) {
  }
  if (read == 0 || read != text->size() || !std::isfinite(number))
    throw ConfigError(place_of(option), "'" + *text + "' is no number; expected a count of standard deviations");
  return number;
}

StrongScores strength_from(const Arguments& arguments, const std::string& which) {
  StrongScores strong{.std_weight = number_from(arguments, which + "-std-threshold", 1),
                      .top_k = arguments.integer(which + "-topk")};
  if (strong.top_k && *strong.top_k < 1)
    throw ConfigError(
        place_of(which + "-topk"),
        std::to_string(*strong.top_k) + " keeps nothing; expected at least 1, or leave it out to keep all");
  return strong;
}

/// A file is one document that has its name; a ".jsonl" file has one {"text", "name"} a line.
void add_documents(const std::string& file, std::vector<host::ContextDocument>& documents) {
  const std::string bytes = host::read_file(file);
  const std::filesystem::path path = file;
  if (path.extension() != ".jsonl") {
    documents.push_back({path.filename().string(), bytes});
    return;
  }
  std::size_t start = 0;
  for (int line = 1; start < bytes.size(); ++line) {
    const std::size_t end = std::min(bytes.find('\n', start), bytes.size());
    const std::string text = bytes.substr(start, end - start);
    start = end + 1;
    if (text.find_first_not_of(" \t\r") == std::string::npos) continue;
    const Value document = parse_json(text, file + ":" + std::to_string(line));
    document.require_known_keys({"name", "text"});
    const Value* name = document.find("name");
    documents.push_back({name ? name->as_string() : "", document.at("text").as_string()});
  }
}

ContextInput input_from(const Arguments& arguments) {
  ContextInput input;
  input.input_current = arguments.text("input-current-text").value_or("");
  if (input.input_current.empty())
    throw ConfigError(place_of("input-current-text"),
                      "no text is given; expected the prompt, or what is to be translated");
  input.input_context = arguments.text("input-context-text");
  for (const std::string& file : arguments.list("documents")) add_documents(file, input.documents);
  if (arguments.has("documents") && arguments.has("input-context-text"))
    throw ConfigError(place_of("documents"),
                      "cannot be joined with --input-context-text, since documents make the input context; keep one");
  input.output_context = arguments.text("output-context-text");
  input.output_current = arguments.text("output-current-text");
  input.contextless_next_tokens = arguments.list("contextless-output-next-tokens");
  input.src_lang = source_language(arguments);
  input.tgt_lang = target_language(arguments);
  return input;
}

ContextSpec spec_from(const Arguments& arguments, const host::Catalogue& catalogue) {
  ContextSpec spec;
  spec.input_template = template_from(arguments, "input-template");
  spec.output_template = template_from(arguments, "output-template");
  if (const auto text = template_from(arguments, "contextless-input-current-text")) spec.contextless_input = *text;
  if (const auto text = template_from(arguments, "contextless-output-current-text")) spec.contextless_output = *text;
  spec.separator = arguments.text("decoder-input-output-separator").value_or(spec.separator);
  spec.special_tokens_to_keep = arguments.list("special-tokens-to-keep");
  if (const auto strategy = arguments.text("handle-output-context-strategy"))
    spec.output_context = host::output_context_strategy(*strategy, place_of("handle-output-context-strategy"));
  spec.sensitive = strength_from(arguments, "context-sensitivity");
  spec.cues = strength_from(arguments, "attribution");
  spec.ask_for_contextless_next_tokens = arguments.on("prompt-user-for-contextless-output-next-tokens");
  const std::string metric = "context-sensitivity-metric";
  if (const auto word = arguments.text(metric))
    spec.sensitivity = choice_from_option(*word, "--" + metric, "step function");
  else
    spec.sensitivity.where = place_of(metric);
  // As the reference has it, parameters of step scores are those of the metric.
  spec.attribution =
      attribution_from_base(arguments, catalogue, {spec.sensitivity}, json_option(arguments, "attribution-kwargs"));
  spec.sensitivity = spec.attribution.step_scores.front();
  spec.attribution.step_scores.clear();
  spec.attribution.name = "cues";
  if (const auto word = arguments.text("alignment"))
    spec.alignment =
        host::parse_alignment(word->starts_with('[') || word->starts_with('{') ? parse_json(*word, "--alignment")
                                                                               : Value(*word, place_of("alignment")),
                              std::filesystem::current_path());
  if (const auto units = arguments.text("cue-units"))
    spec.cue_units = unit_kind(host::name_from(Value(*units, place_of("cue-units")), "unit",
                                               {"token", "word", "sentence", "line", "paragraph"}));
  if (const auto score = arguments.text("unit-score"))
    spec.unit_score = host::unit_score(*score, place_of("unit-score"));
  spec.unit_language = arguments.text("unit-language").value_or(spec.unit_language);
  spec.document_separator = arguments.text("document-separator").value_or(spec.document_separator);
  return spec;
}

}  // namespace

std::vector<Option> context_options() {
  using enum OptionKind;
  const std::vector<Option> own{
      {"input-current-text", value, {}, "TEXT", "the prompt, or the source of an encoder-decoder model"},
      {"input-context-text", value, {}, "TEXT", "context of the input"},
      {"documents",
       list,
       {},
       "FILE",
       "passages that make the context of the input and are cited by name: a text file each, or lines with name and "
       "text "
       "in a .jsonl file"},
      {"document-separator", value, {}, "TEXT", "between documents; default: an empty line"},
      {"input-template",
       value,
       {},
       "TEMPLATE",
       "the input, with {context} and {current}; default: '{context} {current}' with a context, else '{current}'"},
      {"output-context-text", value, {}, "TEXT", "context that the output begins with"},
      {"output-current-text", value, {}, "TEXT", "the output to look at; generated when not given"},
      {"output-template",
       value,
       {},
       "TEMPLATE",
       "the output, with {context} before {current}; default: as for the input"},
      {"contextless-input-current-text",
       value,
       {},
       "TEMPLATE",
       "the input without context, with {current}; default: '{current}'"},
      {"contextless-output-current-text",
       value,
       {},
       "TEMPLATE",
       "the output without context, with {current}; default: '{current}'"},
      {"context-sensitivity-metric",
       value,
       {},
       "NAME",
       "step function that says how sensitive a token is to context, a NAME or 'NAME: {parameter: value}'; default: "
       "kl_divergence"},
      {"context-sensitivity-std-threshold",
       value,
       {},
       "X",
       "tokens depend on context that are at least mean + X standard deviations; default: 1"},
      {"context-sensitivity-topk", value, {}, "N", "of these the N most sensitive; default: all"},
      {"attribution-std-threshold", value, {}, "X", "the same for the cues that are shown; default: 1"},
      {"attribution-topk", value, {}, "N", "of these the N strongest; default: all"},
      {"handle-output-context-strategy",
       value,
       {},
       "NAME",
       "where the output's context comes from when none is given: manual (asks), auto, or pre (it must be given); "
       "default: manual"},
      {"contextless-output-next-tokens",
       list,
       {},
       "WORD",
       "a contrastive word for each context-sensitive token, the most sensitive first; default: what the model writes "
       "without context"},
      {"prompt-user-for-contextless-output-next-tokens", boolean, {}, "yes|no", "ask for these words"},
      {"alignment",
       value,
       {},
       "WAY",
       "how the outputs with and without context are aligned: right, auto, pairs such as [[3,2]], or "
       "'{\"model\": PATH}'; default: right, one to one from the end"},
      {"special-tokens-to-keep",
       list,
       {},
       "TOKEN",
       "special tokens that count as text, e.g. a separator of a template"},
      {"decoder-input-output-separator",
       value,
       {},
       "TEXT",
       "decoder-only models: between input and output; default: a space"},
      {"cue-units",
       value,
       {},
       "NAME",
       "cite word, sentence, line or paragraph of the contexts beside tokens, or token: nothing else; default: the "
       "documents, if there are any"},
      {"unit-score", value, {}, "NAME", "score of a unit from those of its tokens: sum or absmax; default: sum"},
      {"unit-language", value, {}, "CODE", "whose abbreviations end no sentence; default: en"},
      {"show-intermediate-outputs", boolean, {}, "yes|no", "show the attributions that the result is made of"},
      {"save-path", value, {"-o"}, "FILE", "save the result as JSON"},
      {"add-output-info", boolean, {}, "yes|no", "with all options in it; default: yes"},
      {"no-add-output-info", flag, {}, "", "without them"},
      viz_option(),
      {"show-viz", boolean, {}, "yes|no", "show the result; default: yes"},
      {"no-show-viz", flag, {}, "", "don't show it"},
  };
  std::vector<Option> options = base_options();
  for (const std::vector<Option>& more : {own, model_options()})
    options.insert(options.end(), more.begin(), more.end());
  return options;
}

host::Experiment context_experiment_from_options(const Arguments& arguments, const host::Catalogue& catalogue) {
  host::Experiment experiment = experiment_from_base(arguments);
  experiment.context_inputs = {input_from(arguments)};
  experiment.context = spec_from(arguments, catalogue);
  return experiment;
}

}  // namespace whence::cli
