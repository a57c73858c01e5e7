#include "host/attribute.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/nonzero.h>

#include <chrono>
#include <limits>

#include "host/guard.h"

namespace whence::host {
namespace {

/// Everything an attribution is made with.
struct Tools {
  std::unique_ptr<StepFunction> score;
  std::unique_ptr<Method> method;
  std::vector<std::pair<std::string, std::unique_ptr<StepFunction>>> step_scores;
  std::map<std::string, std::string> merges;
};

bool needs(const PluginInfo& method, std::string_view what) {
  const Value* needed = method.declaration.find("needs");
  if (!needed || !needed->is_list()) return false;
  const auto& list = needed->as_list();
  return std::any_of(list.begin(), list.end(),
                     [&](const Value& item) { return item.is_string() && item.as_string() == what; });
}

bool flag(const PluginInfo& plugin, std::string_view key, bool otherwise) {
  const Value* value = plugin.declaration.find(key);
  return value && value->is_bool() ? value->as_bool() : otherwise;
}

bool is_default_score(const Choice& choice) {
  return choice.name == "probability" && (choice.params.is_null() || choice.params.as_map().empty());
}

Tools make_tools(const PluginHost& host, const AttributionSpec& spec) {
  Tools tools;
  tools.score = host.make_step_function(spec.attributed_function);
  tools.method = host.make_method(spec.method);
  for (const Choice& choice : spec.step_scores) {
    tools.step_scores.emplace_back(choice.name, host.make_step_function(choice));
    const PluginInfo& plugin = host.catalogue().find(PluginKind::step_function, choice.name, choice.where);
    if (const Value* merge = plugin.declaration.find("merge")) tools.merges[choice.name] = merge->as_string();
  }
  return tools;
}

std::string place_of(const PreparedText& text, const AttributionSpec& spec, std::int64_t step) {
  const Token& token = text.sequence.target.at(static_cast<std::size_t>(text.sequence.steps.start + step));
  return "sequence '" + text.sequence.id + "', step " + std::to_string(step) + " (token '" + token.text +
         "'), method '" + spec.method.name + "'";
}

/// The first step of `scores` (dim `step_dim`) that is not finite; -1: all are.
std::int64_t first_broken_step(const Tensor& scores, std::int64_t step_dim) {
  const Tensor broken = at::nonzero(at::isfinite(scores).logical_not());
  return broken.size(0) == 0 ? -1 : broken.select(1, step_dim).min().item<std::int64_t>();
}

Tensor cropped_step_score(const Tensor& scores, std::int64_t index, const std::string& name, const PreparedText& text,
                          const AttributionSpec& spec) {
  const Tensor own = scores.select(0, index).slice(0, 0, text.sequence.steps.size()).clone();
  if (const std::int64_t step = first_broken_step(own, 0); step >= 0)
    throw PluginError(place_of(text, spec, step), "score", "the step score '" + name + "' is not a finite number");
  return own;
}

/// Rows of one side cut to [rows,T,...].
Tensor cropped_rows(const Tensor& rows, std::int64_t index, std::int64_t count, std::int64_t steps) {
  return rows.select(0, index).slice(0, 0, count).slice(1, 0, steps).clone();
}

void require_finite(const Tensor& rows, const PreparedText& text, const AttributionSpec& spec) {
  if (const std::int64_t step = first_broken_step(rows, 1); step >= 0)
    throw PluginError(place_of(text, spec, step), "attribute", "the attribution is not finite; nothing was stored");
}

/// NaN where a token does not stand before the explained one: row r, step j with r >= start + j.
void blank_future(Tensor& rows, const Span& steps) {
  const Tensor row = at::arange(rows.size(0)).unsqueeze(1);
  const Tensor position = at::arange(steps.start, steps.end).unsqueeze(0);
  Tensor future = row >= position;
  while (future.dim() < rows.dim()) future = future.unsqueeze(-1);
  rows.masked_fill_(future, std::numeric_limits<double>::quiet_NaN());
}

SequenceAttribution sequence_attribution(const Attribution& attribution, std::int64_t index, const PreparedText& text,
                                         const AttributionSpec& spec) {
  const Sequence& sequence = text.sequence;
  const auto length = static_cast<std::int64_t>(sequence.target.size());
  const auto source_length = static_cast<std::int64_t>(sequence.source.size());
  const std::int64_t steps = sequence.steps.size();
  SequenceAttribution result;
  result.source = sequence.source;
  result.source_labels = sequence.source_labels;
  // A decoder-only model has one text: what stands before the first explained token is shown as the source.
  if (sequence.source.empty())
    result.source.assign(sequence.target.begin(), sequence.target.begin() + sequence.steps.start);
  result.target = sequence.target;
  result.target_labels = sequence.target_labels;
  result.steps = sequence.steps;
  result.granularity = attribution.granularity;
  if (attribution.source.defined()) {
    result.source_attributions = cropped_rows(attribution.source, index, source_length, steps);
    require_finite(result.source_attributions, text, spec);
  }
  if (attribution.target.defined()) {
    result.target_attributions = cropped_rows(attribution.target, index, std::min(length, sequence.steps.end), steps);
    require_finite(result.target_attributions, text, spec);
    blank_future(result.target_attributions, sequence.steps);
  }
  for (const auto& [name, scores] : attribution.step_scores)
    result.step_scores[name] = cropped_step_score(scores, index, name, text, spec);
  for (const auto& [name, scores] : attribution.sequence_scores) {
    const std::int64_t rows = name.starts_with("decoder") ? length : source_length;
    const std::int64_t columns = name.starts_with("encoder")   ? source_length
                                 : name.starts_with("decoder") ? length
                                                               : steps;
    result.sequence_scores[name] = cropped_rows(scores, index, rows, columns);
  }
  return result;
}

Value::Map params_of(const PluginInfo& plugin, const Choice& choice) {
  Value::Map map;
  const Params params = check_params(plugin, choice);
  for (const auto& [name, value] : params.values())
    if (!value.is_null()) map.emplace_back(name, value);
  return map;
}

template <class Get>
Value list_of(const std::vector<PreparedText>& texts, Get get) {
  Value::List list;
  for (const PreparedText& text : texts) list.push_back(get(text));
  return Value(std::move(list));
}

Value::Map info_of(const Model& model, const PluginHost& host, const std::vector<PreparedText>& texts,
                   const AttributionSpec& spec, const AttributeOptions& options, const Work& cost,
                   double seconds) {
  const Catalogue& catalogue = host.catalogue();
  Value::Map step_score_args;
  Value::List step_scores;
  for (const Choice& choice : spec.step_scores) {
    step_scores.push_back(Value(choice.name));
    for (auto& entry : params_of(catalogue.find(PluginKind::step_function, choice.name, choice.where), choice))
      step_score_args.push_back(std::move(entry));
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
  return {
      {"attribution_method", Value(spec.method.name)},
      {"attributed_fn", explains_score ? Value(spec.attributed_function.name + "_fn") : Value()},
      {"attribution_args", Value(params_of(method, spec.method))},
      {"attributed_fn_args", Value(params_of(catalogue.find(PluginKind::step_function, spec.attributed_function.name,
                                                            spec.attributed_function.where),
                                             spec.attributed_function))},
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
      {"exec_time", Value(seconds)},
      {"model_name", Value(model.info().name)},
      {"model_class", Value(model.info().class_name)},
      {"tokenizer_name", Value()},
      {"tokenizer_class", Value(std::string("PreTrainedTokenizerFast"))},
      {"cost", Value(Value::Map{{"forward_passes", Value(cost.forward_passes)},
                                {"forward_rows", Value(cost.forward_rows)},
                                {"head_rows", Value(cost.head_rows)},
                                {"backward_passes", Value(cost.backward_passes)},
                                {"backward_rows", Value(cost.backward_rows)}})}};
}

}  // namespace

const PluginInfo& check_choice(const Catalogue& catalogue, PluginKind kind, const Choice& choice) {
  const PluginInfo& plugin = catalogue.find(kind, choice.name, choice.where);
  if (!plugin.problem.empty()) throw PluginError("", "manifest", plugin.problem);
  check_params(plugin, choice);
  return plugin;
}

void check_attribution(const Catalogue& catalogue, const AttributionSpec& spec) {
  const PluginInfo& method = check_choice(catalogue, PluginKind::method, spec.method);
  const PluginInfo& score = check_choice(catalogue, PluginKind::step_function, spec.attributed_function);
  for (const Choice& choice : spec.step_scores) check_choice(catalogue, PluginKind::step_function, choice);
  if (spec.aggregation)
    for (const Choice& choice : *spec.aggregation) check_choice(catalogue, PluginKind::aggregator, choice);
  if (needs(method, "gradients") && !flag(score, "differentiable", true))
    throw ConfigError(spec.attributed_function.where,
                      "the step function '" + spec.attributed_function.name +
                          "' is not differentiable, but the method '" + spec.method.name +
                          "' needs gradients; choose another, or record it as a step score");
}

AttributionOutput attribute(const Model& model, const PluginHost& host, const std::vector<PreparedText>& texts,
                            const AttributionSpec& spec, const AttributeOptions& options) {
  const auto began = std::chrono::steady_clock::now();
  check_attribution(host.catalogue(), spec);
  const PluginInfo& method = host.catalogue().find(PluginKind::method, spec.method.name, spec.method.where);
  if (options.warn && !flag(method, "uses_attributed_function", true) && !is_default_score(spec.attributed_function))
    options.warn("method '" + spec.method.name + "' does not explain a score, so attributed function '" +
                 spec.attributed_function.name + "' has no effect");
  if (options.warn && options.attribute_target && model.info().kind == ModelKind::decoder_only)
    options.warn("attribute_target has no effect: a decoder-only model has nothing but its target");
  const Tools tools = make_tools(host, spec);

  std::int64_t all_steps = 0, steps_done = 0;
  for (const PreparedText& text : texts) all_steps += text.sequence.steps.size();
  const Work before = model.work();
  Value::List notes;
  AttributionOutput output;
  for (std::size_t first = 0; first < texts.size(); first += options.batch_size) {
    const std::size_t last = std::min(texts.size(), first + static_cast<std::size_t>(options.batch_size));
    std::vector<Sequence> sequences;
    std::int64_t batch_steps = 0;
    for (std::size_t i = first; i < last; ++i) {
      sequences.push_back(texts[i].sequence);
      batch_steps += texts[i].sequence.steps.size();
    }
    Problem::Options problem_options;
    problem_options.attribute_target = options.attribute_target || model.info().kind == ModelKind::decoder_only;
    problem_options.eos_baseline = options.eos_baseline;
    problem_options.memory_bytes = options.memory_bytes;
    if (options.progress)
      problem_options.progress = [&](std::int64_t done, std::int64_t total) {
        options.progress(steps_done + (total > 0 ? batch_steps * done / total : 0), all_steps);
      };
    const Problem problem(model, *tools.score, std::move(sequences), problem_options);
    const Attribution attribution = tools.method->attribute(problem);
    for (const std::string& note : attribution.notes)
      if (std::find(notes.begin(), notes.end(), Value(note)) == notes.end()) notes.push_back(Value(note));
    std::map<std::string, Tensor> step_scores;
    for (const auto& [name, function] : tools.step_scores) step_scores[name] = problem.scores(*function);
    for (std::size_t i = first; i < last; ++i) {
      SequenceAttribution sequence =
          sequence_attribution(attribution, static_cast<std::int64_t>(i - first), texts[i], spec);
      for (const auto& [name, scores] : step_scores)
        sequence.step_scores[name] =
            cropped_step_score(scores, static_cast<std::int64_t>(i - first), name, texts[i], spec);
      sequence.step_score_merges = tools.merges;
      output.sequences.push_back(std::move(sequence));
    }
    steps_done += batch_steps;
    if (options.progress) options.progress(steps_done, all_steps);
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  output.info = info_of(model, host, texts, spec, options, model.work() - before, seconds);
  if (!notes.empty()) output.info.emplace_back("notes", Value(std::move(notes)));
  return output;
}

void try_plugins(const PluginHost& host, const AttributionSpec& spec) {
  make_tools(host, spec);
  if (spec.aggregation)
    for (const Choice& choice : *spec.aggregation) host.make_aggregator(choice);
}

std::vector<Choice> default_aggregation(const AttributionOutput& output) {
  if (output.sequences.empty()) return {};
  const std::vector<std::string>& dims = output.sequences.front().granularity;
  if (dims.empty()) return {};
  if (dims == std::vector<std::string>{"hidden"}) return {{"vnorm", {}, {}}};
  return std::vector<Choice>(dims.size(), Choice{"mean", {}, {}});
}

AttributionOutput aggregated(const PluginHost& host, const AttributionOutput& output,
                             const std::optional<std::vector<Choice>>& chain) {
  AttributionOutput result = output;
  for (const Choice& choice : chain ? *chain : default_aggregation(output)) {
    const auto aggregator = host.make_aggregator(choice);
    with_place(choice.where, plugin_title(PluginKind::aggregator, choice.name), [&] {
      for (SequenceAttribution& sequence : result.sequences) aggregator->apply(sequence);
    });
  }
  return result;
}

}  // namespace whence::host
