#include "host/attribution_info.h"

#include <algorithm>

namespace whence::host {
namespace {

template <class Get>
Value list_of(const std::vector<PreparedText>& texts, Get get) {
  Value::List list;
  for (const PreparedText& text : texts) list.push_back(get(text));
  return Value(std::move(list));
}

Value text_or_null(const std::optional<std::string>& text) { return text ? Value(*text) : Value(); }

/// The pairs of a text; null without a contrastive target.
Value alignment_of(const PreparedText& text) {
  const auto& contrast = text.sequence.contrast;
  if (!contrast || contrast->target.empty()) return {};
  Value::List pairs;
  std::int64_t step = text.sequence.steps.start;
  for (const std::int64_t position : contrast->positions)
    pairs.push_back(Value(Value::List{Value(step++), Value(position)}));
  return Value(std::move(pairs));
}

/// What a contrastive function was told of the texts, under the names of the reference.
void add_contrasts(const std::vector<PreparedText>& texts, Value::Map& args) {
  const auto add = [&](const char* key, auto get) {
    Value values = list_of(texts, get);
    const auto& list = values.as_list();
    if (std::any_of(list.begin(), list.end(), [](const Value& value) { return !value.is_null(); }))
      args.emplace_back(key, std::move(values));
  };
  add("contrast_sources",
      [](const PreparedText& text) { return text.contrast ? text_or_null(text.contrast->source) : Value(); });
  add("contrast_targets",
      [](const PreparedText& text) { return text.contrast ? text_or_null(text.contrast->target) : Value(); });
  add("contrast_targets_alignments", alignment_of);
}

}  // namespace

Value::Map attribution_info(const Model& model, const PluginHost& host, const std::vector<PreparedText>& texts,
                            const AttributionSpec& spec, const AttributeOptions& options, const Cost& cost) {
  const Catalogue& catalogue = host.catalogue();
  Value::Map step_score_args;
  Value::List step_scores;
  for (const Choice& choice : spec.step_scores) {
    step_scores.push_back(Value(choice.name));
    const PluginInfo& function = catalogue.find(PluginKind::step_function, choice.name, choice.where);
    for (auto& entry : recorded_params(function, choice)) step_score_args.push_back(std::move(entry));
    if (is_contrastive(function)) add_contrasts(texts, step_score_args);
  }
  // Two step scores may declare the same parameter; a mapping holds it once.
  std::map<std::string, Value> unique(step_score_args.begin(), step_score_args.end());
  std::int64_t end = 0;
  bool constrained = true;
  for (const PreparedText& text : texts) {
    end = std::max(end, text.sequence.steps.end);
    constrained = constrained && text.constrained;
  }
  const PluginInfo& method = catalogue.find(PluginKind::method, spec.method.name, spec.method.where);
  const bool explains_score = flag(method, "uses_attributed_function", true);
  const PluginInfo& attributed =
      catalogue.find(PluginKind::step_function, spec.attributed_function.name, spec.attributed_function.where);
  Value::Map attributed_args = recorded_params(attributed, spec.attributed_function);
  if (explains_score && is_contrastive(attributed)) add_contrasts(texts, attributed_args);
  Value::Map info{
      {"attribution_method", Value(spec.method.name)},
      {"attributed_fn", explains_score ? Value(spec.attributed_function.name + "_fn") : Value()},
      {"attribution_args", Value(recorded_params(method, spec.method))},
      {"attributed_fn_args", Value(std::move(attributed_args))},
      {"step_scores_args", Value(Value::Map(unique.begin(), unique.end()))},
      {"step_scores", Value(std::move(step_scores))},
      {"attr_pos_start", Value(texts.empty() ? std::int64_t{0} : texts.front().sequence.steps.start)},
      {"attr_pos_end", Value(end)},
      {"attribute_target", Value(options.attribute_target)},
      {"include_eos_baseline", Value(options.eos_baseline)},
      {"output_step_attributions", Value(false)},
      {"constrained_decoding", Value(constrained)},
      {"generate_from_target_prefix", Value(false)},
      {"input_texts", list_of(texts, [](const PreparedText& text) { return Value(text.input_text); })},
      {"generated_texts", list_of(texts, [](const PreparedText& text) { return Value(text.generated_text); })},
      {"generation_args", Value(Value::Map{})},
      {"exec_time", Value(cost.seconds)},
      {"model_name", Value(model.info().name)},
      {"model_class", Value(model.info().class_name)},
      {"tokenizer_name", Value()},
      {"tokenizer_class", Value(std::string("PreTrainedTokenizerFast"))},
      {"cost", Value(Value::Map{{"forward_passes", Value(cost.work.forward_passes)},
                                {"forward_rows", Value(cost.work.forward_rows)},
                                {"head_rows", Value(cost.work.head_rows)},
                                {"backward_passes", Value(cost.work.backward_passes)},
                                {"backward_rows", Value(cost.work.backward_rows)},
                                {"tensor_bytes", Value(cost.tensor_bytes)}})}};
  const auto spans_of = [](const PreparedText& text) {
    Value::List spans;
    for (const Span& span : text.sequence.step_spans)
      spans.push_back(Value(Value::List{Value(span.start), Value(span.end)}));
    return Value(std::move(spans));
  };
  const auto combine_of = [](const PreparedText& text) {
    return Value(std::string(text.sequence.span_score == SpanScore::mean ? "mean" : "sum"));
  };
  if (std::ranges::any_of(texts, [](const PreparedText& text) { return !text.sequence.step_spans.empty(); })) {
    info.emplace_back("explained_spans", list_of(texts, spans_of));
    info.emplace_back("explained_span_scores", list_of(texts, combine_of));
  }
  return info;
}

std::optional<Cost> cost_of(const AttributionOutput& output) {
  Cost cost;
  const Value* counts = nullptr;
  for (const auto& [key, value] : output.info) {
    if (key == "cost" && value.is_map()) counts = &value;
    if (key == "exec_time" && value.is_number()) cost.seconds = value.as_double();
  }
  if (!counts) return {};
  const auto read = [&](std::string_view key) {
    const Value* count = counts->find(key);
    return count && count->is_int() ? count->as_int() : 0;
  };
  cost.work = {.forward_passes = read("forward_passes"),
               .backward_passes = read("backward_passes"),
               .forward_rows = read("forward_rows"),
               .head_rows = read("head_rows"),
               .backward_rows = read("backward_rows")};
  cost.tensor_bytes = read("tensor_bytes");
  return cost;
}

bool flag(const PluginInfo& plugin, std::string_view key, bool otherwise) {
  const Value* value = plugin.declaration.find(key);
  return value && value->is_bool() ? value->as_bool() : otherwise;
}

}  // namespace whence::host
