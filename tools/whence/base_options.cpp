#include "base_options.h"

#include "computing_options.h"
#include "host/attribute.h"
#include "host/choice_value.h"
#include "host/yaml.h"
#include "json_value.h"
#include "whence/generation_options.h"

namespace whence::cli {
namespace {

using host::Catalogue;
using host::Choice;
using host::Experiment;
using host::PluginInfo;
using host::PluginKind;

bool declares(const PluginInfo& plugin, const std::string& parameter) {
  return std::any_of(plugin.parameters.begin(), plugin.parameters.end(),
                     [&](const auto& spec) { return spec.name == parameter; });
}

void add_param(Choice& choice, const std::string& key, const Value& value) {
  Value::Map map = choice.params.is_null() ? Value::Map{} : choice.params.as_map();
  map.emplace_back(key, value);
  choice.params = Value(std::move(map), value.mark());
}

bool has_param(const Choice& choice, const std::string& key) {
  return !choice.params.is_null() && choice.params.find(key) != nullptr;
}

/// A plugin that takes parameters of the command line.
struct Consumer {
  Choice* choice;
  const PluginInfo* plugin;
};

/// Gives a key to every consumer that declares it, as the reference does; a key that nobody wants is an error.
void give(const std::vector<Consumer>& consumers, const std::string& key, const Value& value) {
  bool wanted = false;
  std::vector<std::string> known;
  for (const Consumer& consumer : consumers) {
    for (const auto& spec : consumer.plugin->parameters) known.push_back(spec.name);
    if (!declares(*consumer.plugin, key)) continue;
    add_param(*consumer.choice, key, value);
    wanted = true;
  }
  if (!wanted) throw UnknownName(value.mark(), "parameter of the chosen method and step functions", key, known);
}

void give_attribution_kwargs(const Value& kwargs, host::AttributionSpec& spec, const Catalogue& catalogue) {
  const auto consumer = [&](PluginKind kind, Choice& choice) {
    return Consumer{&choice, &catalogue.find(kind, choice.name, choice.where)};
  };
  std::map<std::string, std::vector<Consumer>> groups;
  groups["attribution_args"] = {consumer(PluginKind::method, spec.method)};
  groups["attributed_fn_args"] = {consumer(PluginKind::step_function, spec.attributed_function)};
  for (Choice& score : spec.step_scores)
    groups["step_scores_args"].push_back(consumer(PluginKind::step_function, score));
  std::vector<Consumer> all;
  for (const auto& [_, consumers] : groups) all.insert(all.end(), consumers.begin(), consumers.end());
  for (const auto& [key, value] : kwargs.as_map()) {
    const auto group = groups.find(key);
    if (group == groups.end()) {
      give(all, key, value);
      continue;
    }
    for (const auto& [name, inner] : value.as_map()) give(group->second, name, inner);
  }
}

/// Generation options. Keys of the reference that are about how it generates, not about what, have no effect.
GenerationConfig generation_from(const Value& kwargs) {
  Value::Map options;
  for (const auto& [key, value] : kwargs.as_map())
    if (key != "skip_special_tokens" && key != "pad_token_id" && key != "use_cache") options.emplace_back(key, value);
  return read_generation_options(Value(std::move(options), kwargs.mark()));
}

void read_model_kwargs(const Value& kwargs, Experiment& experiment) {
  kwargs.require_known_keys({"dtype", "torch_dtype", "attn_implementation"});
  for (const auto& [key, value] : kwargs.as_map()) {
    if (key == "attn_implementation") {
      if (value.as_string() != "eager")
        throw UnknownName(value.mark(), "attention implementation", value.as_string(), {"eager"});
    } else {
      experiment.dtype = host::parse_dtype(value);
    }
  }
}

std::string language_from(const Arguments& arguments, const std::string& option, const std::string& key) {
  const Value kwargs = json_option(arguments, "tokenizer-kwargs");
  const Value* among = kwargs.is_map() ? kwargs.find(key) : nullptr;
  const auto given = arguments.text(option);
  if (among && given) throw ConfigError("--" + option + ": " + key + " is in --tokenizer-kwargs, too; leave one out");
  return among ? among->as_string() : given.value_or("");
}

/// The chain given by --attribution-aggregators with selectors, normalisation and rescaling; empty when none is given.
std::optional<std::vector<Choice>> aggregation_from_options(const Arguments& arguments, const Catalogue& catalogue) {
  const std::vector<std::string> names = arguments.list("attribution-aggregators");
  const std::vector<std::int64_t> selectors = arguments.integers("attribution-selectors");
  const bool normalize = arguments.on("normalize-attributions"), rescale = arguments.on("rescale-attributions");
  if (names.empty()) {
    for (const char* option : {"attribution-selectors", "normalize-attributions", "rescale-attributions"})
      if (arguments.has(option))
        throw ConfigError("--" + std::string(option) + ": has no effect without --attribution-aggregators; name one");
    return {};
  }
  if (normalize && rescale)
    throw ConfigError("--rescale-attributions: cannot be joined with --normalize-attributions; choose one");
  if (!selectors.empty() && selectors.size() != names.size())
    throw ConfigError("--attribution-selectors: " + std::to_string(selectors.size()) + " number(s) for " +
                      std::to_string(names.size()) + " of --attribution-aggregators; give one for each");
  std::vector<Choice> chain;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const Mark where{"--attribution-aggregators", 0, 0};
    Choice choice = choice_from_option(names[i], where.file, "aggregator");
    const PluginInfo& plugin = catalogue.find(PluginKind::aggregator, choice.name, where);
    if (!selectors.empty()) {
      add_param(choice, "index", Value(selectors[i], {"--attribution-selectors", 0, 0}));
      choice.where.file += ", --attribution-selectors";
    }
    // What a stage says itself comes first.
    if (declares(plugin, "normalize") && !has_param(choice, "normalize") && !has_param(choice, "rescale"))
      add_param(choice, "normalize", Value(normalize, where));
    if (rescale && declares(plugin, "rescale")) add_param(choice, "rescale", Value(true, where));
    chain.push_back(std::move(choice));
  }
  return chain;
}

}  // namespace

std::vector<Option> base_options() {
  using enum OptionKind;
  return {
      {"model-name-or-path",
       value,
       {"-m"},
       "PATH",
       "checkpoint: a GGUF file, or a folder with config.json, weights and tokenizer; a bare name is looked for in "
       "WHENCE_MODELS, too"},
      {"attribution-method", value, {"-a"}, "NAME", "method; default: saliency"},
      {"attributed-fn", value, {"-fn"}, "NAME", "step function that is explained; default: probability"},
      {"attribution-kwargs",
       value,
       {},
       "JSON",
       "parameters of the method, the attributed function and the step scores, e.g. '{\"n_steps\": 20}'"},
      {"generation-kwargs",
       value,
       {},
       "JSON",
       "how prompts are continued: max_new_tokens or max_length, min_new_tokens or min_length, eos_token_id, "
       "stop_strings, num_beams, length_penalty, early_stopping, do_sample, temperature, top_k, top_p, min_p, "
       "typical_p, "
       "seed, repetition_penalty, no_repeat_ngram_size, bad_words_ids, bad_words, suppress_tokens, "
       "begin_suppress_tokens, forced_bos_token_id, forced_eos_token_id, renormalize_logits; default: as the "
       "checkpoint says, or greedy, 20 tokens"},
      {"model-kwargs", value, {}, "JSON", "dtype (or torch_dtype); attn_implementation only as \"eager\""},
      {"tokenizer-kwargs", value, {}, "JSON", "src_lang and tgt_lang, as the options below"},
      {"src-lang",
       value,
       {},
       "CODE",
       "language of the source of a multilingual model, e.g. en_XX; default: the checkpoint's"},
      {"tgt-lang",
       value,
       {},
       "CODE",
       "language of the target: texts are generated in it and encoded with its mark; default: the checkpoint's"},
      {"attribution-aggregators",
       list,
       {},
       "NAME",
       "aggregators applied before showing and saving, a NAME or 'NAME: {parameter: value}'; default: shown with the "
       "default of the method, saved without"},
      {"attribution-selectors",
       list,
       {},
       "N",
       "with aggregators: keep entry N of the last dimension instead of reducing it, one number for each aggregator"},
      {"normalize-attributions",
       boolean,
       {},
       "yes|no",
       "with aggregators: divide each step by the sum of its absolute scores"},
      {"rescale-attributions",
       boolean,
       {},
       "yes|no",
       "with aggregators: divide all scores by the largest absolute one"},
      {"include-eos-baseline", boolean, {"--eos"}, "yes|no", "replace end-of-text tokens in baselines, too"},
      {"batch-size", value, {"-bs"}, "N", "texts per batch; default: 8"},
      {"device", value, {"--dev"}, "NAME", "where to compute: cpu"},
  };
}

Experiment experiment_from_base(const Arguments& arguments) {
  const auto path = arguments.path("model-name-or-path");
  if (!path)
    throw ConfigError("--model-name-or-path: no model is given; name a GGUF file or the folder of a checkpoint");
  if (const std::string device = arguments.text("device").value_or("cpu"); device != "cpu")
    throw UnknownName({"--device", 0, 0}, "device", device, {"cpu"});

  Experiment experiment;
  experiment.model_path = host::find_model(*path, std::filesystem::current_path());
  experiment.generation = generation_from(json_option(arguments, "generation-kwargs"));
  experiment.seed = experiment.generation.seed;
  read_model_kwargs(json_option(arguments, "model-kwargs"), experiment);
  apply_computing_options(arguments, experiment);
  json_option(arguments, "tokenizer-kwargs").require_known_keys({"src_lang", "tgt_lang"});
  experiment.eos_baseline = arguments.on("include-eos-baseline");
  experiment.batch_size = arguments.integer("batch-size").value_or(experiment.batch_size);
  if (experiment.batch_size < 1)
    throw ConfigError("--batch-size: " + std::to_string(experiment.batch_size) +
                      " texts make no batch; expected at least 1");
  return experiment;
}

host::AttributionSpec attribution_from_base(const Arguments& arguments, const Catalogue& catalogue,
                                            std::vector<Choice> step_scores, const Value& kwargs) {
  host::AttributionSpec spec;
  spec.method = {arguments.text("attribution-method").value_or("saliency"), {}, {"--attribution-method", 0, 0}};
  spec.name = spec.method.name;
  spec.attributed_function = {arguments.text("attributed-fn").value_or("probability"), {}, {"--attributed-fn", 0, 0}};
  spec.step_scores = std::move(step_scores);
  give_attribution_kwargs(kwargs, spec, catalogue);
  spec.aggregation = aggregation_from_options(arguments, catalogue);
  return spec;
}

/// An option that holds a JSON object; an empty mapping when absent.
Value json_option(const Arguments& arguments, const std::string& name) {
  const auto text = arguments.text(name);
  if (!text) return Value(Value::Map{});
  Value value = parse_json(*text, "--" + name);
  if (!value.is_map())
    throw ConfigError(value.mark(), "expected a JSON object, found " + std::string(value.type_name()));
  return value;
}

std::string source_language(const Arguments& arguments) { return language_from(arguments, "src-lang", "src_lang"); }
std::string target_language(const Arguments& arguments) { return language_from(arguments, "tgt-lang", "tgt_lang"); }

Choice choice_from_option(const std::string& word, const std::string& option, std::string_view what) {
  if (word.find_first_of(":{") == std::string::npos) return {word, {}, {option, 0, 0}};
  return host::parse_choice(host::parse_yaml(word, option), what);
}

std::optional<std::vector<Choice>> chain_from_option(const Arguments& arguments, const std::string& name) {
  if (!arguments.has(name)) return {};
  std::vector<Choice> chain;
  for (const std::string& stage : arguments.list(name))
    if (stage != "none") chain.push_back(choice_from_option(stage, "--" + name, "aggregator"));
  return chain;
}

}  // namespace whence::cli
