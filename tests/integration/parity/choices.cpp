#include "choices.h"

#include <algorithm>

#include "coverage.h"
#include "support/json_value.h"

namespace whence::parity {
namespace {

using host::Choice;

bool one_of(const std::string& name, std::initializer_list<const char*> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// Adds the parameter of ours that a keyword of the reference stands for.
void add_method_param(const std::string& method, Value::Map& params, const std::string& key, const json& value) {
  if (key == "attribution_args") {
    for (const auto& [name, inner] : value.items()) add_method_param(method, params, name, inner);
  } else if (key == "sliding_window_tokens") {
    params.emplace_back("sliding_window", to_value(value));
  } else if (key == "n_samples" && method == "lime") {
    params.emplace_back("samples", to_value(value));
  } else if (key != "sliding_window_shapes") {  // the same window, as tokens times hidden units
    params.emplace_back(key, to_value(value));
  }
}

Choice step_function(const std::string& name, const json& keywords) {
  Value::Map params;
  if (name == "top_p_size") params.emplace_back("top_p", to_value(keywords.at("top_p")));
  if (one_of(name, {"contrast_logits", "contrast_logits_diff", "contrast_prob", "contrast_prob_diff", "in_context_pvi",
                    "kl_divergence", "pcxmi"})) {
    params.emplace_back("contrast_force_inputs", Value(keywords.value("contrast_force_inputs", false)));
    // Where the reference contrasts sources alone, it runs on with the target embeddings that it differentiates by.
    if (!keywords.contains("contrast_sources")) params.emplace_back("compat", Value(std::string("reference")));
  }
  if (name == "perplexity") params.emplace_back("compat", Value(std::string("reference")));
  return {name, Value(std::move(params)), {}};
}

/// The keywords of an aggregate call that a stage knows.
Choice stage(const std::string& name, const json& function, const json& keywords) {
  Value::Map params;
  const auto add = [&](const char* key, const char* ours) {
    if (keywords.contains(key)) params.emplace_back(ours, to_value(keywords[key]));
  };
  if (!function.is_null()) params.emplace_back("function", to_value(function));
  if (name == "spans" || name == "slices") {
    add("source_spans", "source_spans");
    add("target_spans", "target_spans");
  } else if (name == "split") {
    add("split_pattern", "split_pattern");
    add("split_mode", "split_mode");
  } else if (name == "pair") {
    params.emplace_back("with", Value(std::string("paired")));
  } else if (name == "subwords") {
    add("special_chars", "special_chars");
  } else {
    add("normalize", "normalize");
    add("rescale", "rescale");
    add("vnorm_ord", "norm_order");
    if (const json index = keywords.value("select_idx", json()); !index.is_null())
      params.emplace_back(index.is_number() ? "index" : "indices", to_value(index));
  }
  return {name, Value(std::move(params)), {}};
}

/// The contrast that a case names, aligned as the reference does without alignments.
std::optional<host::ContrastText> contrast_text(const json& keywords) {
  host::ContrastText contrast;
  if (keywords.contains("contrast_sources")) contrast.source = keywords["contrast_sources"].get<std::string>();
  if (keywords.contains("contrast_targets")) contrast.target = keywords["contrast_targets"].get<std::string>();
  if (contrast == host::ContrastText()) return std::nullopt;
  return contrast;
}

}  // namespace

host::AttributionSpec attribution_spec(const Case& one) {
  Value::Map params;
  for (const auto& [key, value] : one.at("method_kwargs").items()) add_method_param(one.method, params, key, value);
  if (one_of(one.method, {"occlusion", "deeplift", "integrated_gradients", "lime", "sequential_integrated_gradients"}))
    params.emplace_back("compat", Value(std::string("reference")));
  host::AttributionSpec spec;
  spec.name = one.id;
  spec.granularity = host::Granularity::full;  // as the cases store it
  spec.method = {one.method, Value(std::move(params)), {}};
  spec.attributed_function = step_function(one.attributed_function(), one.at("attributed_fn_args"));
  for (const std::string& name : known_step_scores(one))
    spec.step_scores.push_back(step_function(name, one.at("step_scores_args")));
  return spec;
}

std::vector<host::InputText> input_texts(const Case& one) {
  const auto list = [](const json& texts) { return texts.is_array() ? texts : json::array({texts}); };
  const json inputs = list(one.at("input_text")), generated = list(one.at("generated_text"));
  std::vector<host::InputText> texts;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    host::InputText text;
    text.id = std::to_string(i);
    text.text = inputs[i];
    if (!generated.at(i).is_null()) text.generated = generated[i].get<std::string>();
    if (const json& options = one.at("attribute_kwargs"); options.is_object()) {
      if (options.contains("attr_pos_start")) text.start = options["attr_pos_start"].get<std::int64_t>();
      if (options.contains("attr_pos_end")) text.end = options["attr_pos_end"].get<std::int64_t>();
    }
    text.contrast = contrast_text(one.at("attributed_fn_args"));
    texts.push_back(std::move(text));
  }
  return texts;
}

GenerationConfig generation_config(const Case& one) {
  GenerationConfig config;
  if (const json& options = one.at("generation_kwargs"); options.is_object())
    config.max_new_tokens = options.at("max_new_tokens").get<std::int64_t>();
  return config;
}

std::optional<std::vector<Choice>> aggregation_chain(const Case& one) {
  const json& call = one.at("aggregate");
  const json &stages = call.at("aggregator"), &keywords = call.at("kwargs");
  if (stages.is_null()) return std::nullopt;
  if (stages.is_string()) return std::vector<Choice>{stage(stages, call.at("aggregate_fn"), keywords)};
  std::vector<Choice> chain;
  for (const json& each : stages)
    chain.push_back(each.is_array() ? stage(each.at(0), each.at(1), keywords) : stage(each, json(), keywords));
  return chain;
}

}  // namespace whence::parity
