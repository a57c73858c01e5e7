#include "host/context_info.h"

#include "host/choice_value.h"
#include "host/context_value.h"
#include "host/contrast_text.h"
#include "whence/generation_options.h"

namespace whence::host {
namespace {

Value text(const std::string& value) { return Value(value); }
Value text_or_null(const std::optional<std::string>& value) { return value ? Value(*value) : Value(); }
Value number_or_null(const std::optional<std::int64_t>& value) { return value ? Value(*value) : Value(); }

Value texts(const std::vector<std::string>& values) { return Value(Value::List(values.begin(), values.end())); }

Value params_of(const Catalogue& catalogue, PluginKind kind, const Choice& choice) {
  return Value(recorded_params(catalogue.find(kind, choice.name, choice.where), choice));
}

Value languages(const ContextInput& input) {
  Value::Map map;
  if (!input.src_lang.empty()) map.emplace_back("src_lang", text(input.src_lang));
  if (!input.tgt_lang.empty()) map.emplace_back("tgt_lang", text(input.tgt_lang));
  return Value(std::move(map));
}

}  // namespace

Value::Map context_info(const PluginHost& host, const ContextTask& task, const ContextOutput& output,
                        float sensitivity_threshold) {
  const Catalogue& catalogue = host.catalogue();
  const ContextSpec& spec = task.spec;
  const AttributionSpec& attribution = spec.attribution;
  const ModelInfo& model = task.model.info();
  const bool has_input_context = task.templates.input.has_context();
  return {
      {"model_name_or_path", text(model.name)},
      {"attribution_method", text(attribution.method.name)},
      {"attributed_fn", text(attribution.attributed_function.name)},
      {"attribution_aggregators", attribution.aggregation ? choices_value(*attribution.aggregation) : Value()},
      {"attribution_kwargs",
       Value(Value::Map{
           {"attribution_args", params_of(catalogue, PluginKind::method, attribution.method)},
           {"attributed_fn_args", params_of(catalogue, PluginKind::step_function, attribution.attributed_function)}})},
      {"generation_kwargs", generation_options(task.generation)},
      {"tokenizer_kwargs", languages(task.input)},
      {"context_sensitivity_metric", text(spec.sensitivity.name)},
      {"context_sensitivity_std_threshold", Value(spec.sensitive.std_weight)},
      {"context_sensitivity_topk", number_or_null(spec.sensitive.top_k)},
      {"attribution_std_threshold", Value(spec.cues.std_weight)},
      {"attribution_topk", number_or_null(spec.cues.top_k)},
      {"input_current_text", text(task.input.input_current)},
      {"input_context_text", has_input_context ? text(task.input_context) : Value()},
      {"input_template", text(task.templates.input.given().text)},
      {"output_context_text", text_or_null(output.context)},
      {"output_current_text", text(output.current)},
      {"output_template", text(task.templates.output.given().text)},
      {"contextless_input_current_text", text(spec.contextless_input.text)},
      {"contextless_output_current_text", text(spec.contextless_output.text)},
      {"special_tokens_to_keep", texts(spec.special_tokens_to_keep)},
      {"decoder_input_output_separator", text(spec.separator)},
      {"handle_output_context_strategy", text(name_of(spec.output_context))},
      {"contextless_output_next_tokens", texts(task.input.contextless_next_tokens)},
      {"prompt_user_for_contextless_output_next_tokens", Value(spec.ask_for_contextless_next_tokens)},
      {"has_input_context", Value(has_input_context)},
      {"has_output_context", Value(output.context.has_value())},
      // What the reference does not have.
      {"model_class", text(model.class_name)},
      {"context_sensitivity_kwargs", params_of(catalogue, PluginKind::step_function, spec.sensitivity)},
      {"context_sensitivity_threshold", Value(static_cast<double>(sensitivity_threshold))},
      {"context_alignment", alignment_value(spec.alignment)},
      {"output_generated", Value(output.generated)},
      {"documents", documents_value(task.input.documents)},
      {"document_separator", text(spec.document_separator)},
      {"cue_units", spec.cue_units ? text(name_of(*spec.cue_units)) : Value()},
      {"unit_score", text(name_of(spec.unit_score))},
      {"unit_language", text(spec.unit_language)},
      {"include_eos_baseline", Value(task.options.eos_baseline)},
      {"batch_size", Value(task.options.batch_size)},
      {"seed", Value(static_cast<std::int64_t>(task.options.seed))},
  };
}

}  // namespace whence::host
