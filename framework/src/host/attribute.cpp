#include "host/attribute.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/nonzero.h>
#include <ATen/ops/tensor.h>

#include <chrono>
#include <limits>

#include "contrast_texts.h"
#include "counting.h"
#include "host/aggregation.h"
#include "host/attribution_info.h"
#include "host/counting_model.h"
#include "host/guard.h"
#include "host/tensor_memory.h"
#include "step_scoring.h"
#include "whence/merge_spans.h"
#include "whence/open_ended.h"

namespace whence::host {
namespace {

/// Everything an attribution is made with.
struct Tools {
  std::unique_ptr<StepFunction> score;
  std::unique_ptr<Method> method;
  std::unique_ptr<EarlyReduction> reduction;  ///< null: hidden units are kept
  std::vector<std::pair<std::string, std::unique_ptr<StepFunction>>> step_scores;
  std::map<std::string, std::string> merges;
  std::vector<std::pair<Choice, StepNeeds>> needs;  ///< of every step function in its role

  /// True when a function compares with contrastive texts.
  bool compares() const {
    return std::ranges::any_of(needs,
                               [](const auto& of) { return of.second.contrast_ids || of.second.contrast_logits; });
  }
};

/// Work with a step function, whose errors get its place.
template <class Work>
decltype(auto) with_function(const Choice& choice, const Work& work) {
  return with_place(choice.where, plugin_title(PluginKind::step_function, choice.name), work);
}

bool needs(const PluginInfo& method, std::string_view what) {
  const Value* needed = method.declaration.find("needs");
  if (!needed || !needed->is_list()) return false;
  const auto& list = needed->as_list();
  return std::any_of(list.begin(), list.end(),
                     [&](const Value& item) { return item.is_string() && item.as_string() == what; });
}

bool is_default_score(const Choice& choice) {
  return choice.name == "probability" && (choice.params.is_null() || choice.params.as_map().empty());
}

Tools make_tools(const PluginHost& host, const AttributionSpec& spec) {
  Tools tools;
  tools.score = host.make_step_function(spec.attributed_function);
  const auto add_needs = [&](const Choice& choice, const StepFunction& function, StepRole role) {
    tools.needs.emplace_back(choice, with_function(choice, [&] { return function.needs(role); }));
  };
  add_needs(spec.attributed_function, *tools.score, StepRole::attributed);
  tools.method = host.make_method(spec.method);
  tools.reduction = EarlyReduction::of(host, spec);
  for (const Choice& choice : spec.step_scores) {
    tools.step_scores.emplace_back(choice.name, host.make_step_function(choice));
    add_needs(choice, *tools.step_scores.back().second, StepRole::recorded);
    const PluginInfo& plugin = host.catalogue().find(PluginKind::step_function, choice.name, choice.where);
    if (const Value* merge = plugin.declaration.find("merge")) tools.merges[choice.name] = merge->as_string();
  }
  return tools;
}

std::string place_of(const PreparedText& text, const AttributionSpec& spec, std::int64_t step) {
  const Token& token = text.sequence.target.at(static_cast<std::size_t>(text.sequence.column(step).start));
  return "sequence '" + text.sequence.id + "', step " + std::to_string(step) + " (token '" + token.text +
         "'), method '" + spec.method.name + "'";
}

/// The first step of `scores` (dim `step_dim`) that is not finite; -1: all are.
std::int64_t first_broken_step(const Tensor& scores, std::int64_t step_dim) {
  const Tensor broken = at::nonzero(at::isfinite(scores).logical_not());
  return broken.size(0) == 0 ? -1 : broken.select(1, step_dim).min().item<std::int64_t>();
}

/// Rows of one side cut to [rows,T,...].
Tensor cropped_rows(const Tensor& rows, std::int64_t index, std::int64_t count, std::int64_t steps) {
  return rows.select(0, index).slice(0, 0, count).slice(1, 0, steps).clone();
}

/// ", layer 3" for the first layer of a step whose scores are not finite; empty where layers are no dim of `rows`.
std::string layer_of_broken(const Tensor& rows, std::int64_t step, const std::vector<std::string>& granularity) {
  const auto dim = std::ranges::find_if(granularity, [](const std::string& name) { return name.starts_with("layer"); });
  if (dim == granularity.end()) return {};
  return ", layer " + std::to_string(first_broken_step(rows.select(1, step), 1 + (dim - granularity.begin())));
}

/// Throws PluginError at the first step whose attribution or score is not finite.
void require_finite(const SequenceAttribution& sequence, const PreparedText& text, const AttributionSpec& spec) {
  for (const Tensor& rows : {sequence.source_attributions, sequence.target_attributions})
    if (rows.defined())
      if (const std::int64_t step = first_broken_step(rows, 1); step >= 0)
        throw PluginError(place_of(text, spec, step) + layer_of_broken(rows, step, sequence.granularity), "attribute",
                          "the attribution is not finite; nothing was stored");
  for (const auto& [name, scores] : sequence.step_scores)
    if (const std::int64_t step = first_broken_step(scores, 0); step >= 0)
      throw PluginError(place_of(text, spec, step), "score", "the step score '" + name + "' is not a finite number");
}

/// A value where a token does not stand before the last explained one of a step: row r, step j with r >= last[j].
void fill_future(Tensor& rows, const std::vector<std::int64_t>& last, double value) {
  const Tensor row = at::arange(rows.size(0)).unsqueeze(1);
  Tensor future = row >= at::tensor(last, at::kLong).unsqueeze(0);
  while (future.dim() < rows.dim()) future = future.unsqueeze(-1);
  rows.masked_fill_(future, value);
}

/// Throws InputError unless the explained spans of a sequence are neighbours, as columns of results are.
void require_neighbours(const Sequence& sequence) {
  for (std::size_t i = 1; i < sequence.step_spans.size(); ++i)
    if (sequence.step_spans[i].start != sequence.step_spans[i - 1].end)
      throw InputError("sequence '" + sequence.id + "': nobody explains the positions from " +
                       std::to_string(sequence.step_spans[i - 1].end) + " to " +
                       std::to_string(sequence.step_spans[i].start) +
                       ", but results hold neighbouring steps; make them a span of their own");
}

/// Finishes the target of a result: NaN where nothing can come from, and what is explained as one becomes one token,
/// whose row holds the sum of those of its tokens.
void finish_target(SequenceAttribution& result, const Sequence& sequence) {
  Tensor& rows = result.target_attributions;
  std::vector<std::int64_t> last;
  for (std::int64_t t = 0; t < sequence.columns(); ++t) last.push_back(sequence.column(t).end - 1);
  constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();
  if (rows.defined()) fill_future(rows, last, sequence.step_spans.empty() ? kNothing : 0);
  if (sequence.step_spans.empty()) return;
  merge_spans(result, {.target_spans = sequence.step_spans, .reduction = "sum"});
  // Tokens of a span have a share in those behind them, and so in the span.
  for (std::int64_t t = 0; t < sequence.columns(); ++t)
    last[static_cast<std::size_t>(t)] = result.steps.start + t + (sequence.column(t).size() > 1 ? 1 : 0);
  if (rows.defined()) fill_future(rows, last, kNothing);
}

/// The target of a sequence as it is shown: "contrastive → explained" where a token is compared with another one.
std::vector<Token> shown_target(const Sequence& sequence, bool compared) {
  std::vector<Token> tokens = sequence.target;
  if (!compared || sequence.contrast->target.empty()) return tokens;
  const auto place = [&](std::int64_t position) { return static_cast<std::size_t>(position); };
  for (std::int64_t t = 0; t < sequence.columns(); ++t) {
    const Span column = sequence.column(t);
    std::string others;
    bool same = true;
    for (std::int64_t i = column.start; i < column.end; ++i) {
      const std::int64_t position = sequence.contrast->positions[place(i - sequence.steps.start)];
      const Token& other = sequence.contrast->target[place(position)];
      others += other.text;
      same = same && other.id == tokens[place(i)].id;
    }
    // Tokens that become one are written one behind the other.
    Token& own = tokens[place(column.start)];
    if (!same) own = {others + " → " + own.text, -1};
  }
  return tokens;
}

/// What was computed for one sequence of a batch, without padding.
SequenceAttribution sequence_attribution(const Attribution& attribution,
                                         const std::map<std::string, Tensor>& step_scores, std::int64_t index,
                                         const Sequence& sequence, bool compared) {
  const auto length = static_cast<std::int64_t>(sequence.target.size());
  const auto source_length = static_cast<std::int64_t>(sequence.source.size());
  const std::int64_t steps = sequence.columns();
  SequenceAttribution result;
  result.source = sequence.source;
  result.source_labels = sequence.source_labels;
  // A decoder-only model has one text: what stands before the first explained token is shown as the source.
  if (sequence.source.empty())
    result.source.assign(sequence.target.begin(), sequence.target.begin() + sequence.steps.start);
  result.target = shown_target(sequence, compared);
  result.target_labels = sequence.target_labels;
  result.steps = sequence.steps;
  result.granularity = attribution.granularity;
  if (attribution.source.defined())
    result.source_attributions = cropped_rows(attribution.source, index, source_length, steps);
  if (attribution.target.defined())
    result.target_attributions = cropped_rows(attribution.target, index, std::min(length, sequence.steps.end), steps);
  for (const auto& [name, scores] : step_scores)
    result.step_scores[name] = scores.select(0, index).slice(0, 0, steps).clone();
  for (const auto& [name, scores] : attribution.sequence_scores) {
    const std::int64_t rows = name.starts_with("decoder") ? length : source_length;
    const std::int64_t columns = name.starts_with("encoder")   ? source_length
                                 : name.starts_with("decoder") ? length
                                                               : steps;
    result.sequence_scores[name] = cropped_rows(scores, index, rows, columns);
  }
  return result;
}

std::int64_t bytes_of(const AttributionOutput& output) {
  std::int64_t bytes = 0;
  const auto add = [&](const Tensor& tensor) {
    if (tensor.defined()) bytes += static_cast<std::int64_t>(tensor.nbytes());
  };
  for (const SequenceAttribution& sequence : output.sequences) {
    add(sequence.source_attributions);
    add(sequence.target_attributions);
    for (const auto& [_, scores] : sequence.step_scores) add(scores);
    for (const auto& [_, map] : sequence.sequence_scores) add(map);
  }
  return bytes;
}

/// What a method makes of a problem. An error of the model, e.g. numbers that are not finite, gets the method's name.
Attribution attribute_with(const Method& method, const Problem& problem, const std::string& name) {
  const std::string place = "method '" + name + "'";
  try {
    return method.attribute(problem);
  } catch (const ModelError& error) {
    if (std::string_view(error.what()).starts_with(place)) throw;
    throw ModelError(place + ", " + error.what());
  }
}

/// An attribution in the making.
struct Making {
  const Model& model;
  const AttributionSpec& spec;
  const AttributeOptions& options;
  Tools tools;
  std::int64_t all_steps = 0, steps_done = 0;
  AttributionOutput output;
  Value::List notes;
  bool reduced = false, may_stop_early = false;

  void add(const PreparedText* first, const PreparedText* last);
};

void Making::add(const PreparedText* first, const PreparedText* last) {
  std::vector<Sequence> sequences;
  std::int64_t batch_steps = 0;
  for (const PreparedText* text = first; text != last; ++text) {
    sequences.push_back(text->sequence);
    batch_steps += text->sequence.columns();
  }
  Problem::Options problem_options;
  problem_options.attribute_target = options.attribute_target || model.info().kind == ModelKind::decoder_only;
  problem_options.eos_baseline = options.eos_baseline;
  problem_options.memory_bytes = options.memory_bytes;
  problem_options.seed = options.seed;
  problem_options.hidden_reduction = tools.reduction.get();
  if (options.progress)
    problem_options.progress = [&](std::int64_t done, std::int64_t total) {
      options.progress(steps_done + (total > 0 ? batch_steps * done / total : 0), all_steps);
    };
  const Problem problem(model, *tools.score, std::move(sequences), problem_options);
  const Attribution attribution = attribute_with(*tools.method, problem, spec.method.name);
  const bool keeps_hidden = std::ranges::find(attribution.granularity, "hidden") != attribution.granularity.end();
  reduced = reduced || (problem.reduced_hidden_units() && !keeps_hidden);
  may_stop_early = may_stop_early || problem.may_stop_early();
  for (const std::string& note : attribution.notes)
    if (std::find(notes.begin(), notes.end(), Value(note)) == notes.end()) notes.push_back(Value(note));
  std::map<std::string, Tensor> step_scores = attribution.step_scores;
  for (const auto& [name, function] : tools.step_scores) step_scores[name] = problem.scores(*function);
  for (const PreparedText* text = first; text != last; ++text) {
    SequenceAttribution sequence =
        sequence_attribution(attribution, step_scores, text - first, text->sequence, tools.compares());
    if (!counts_only(model)) require_finite(sequence, *text, spec);  // what is only counted says nothing
    finish_target(sequence, text->sequence);
    sequence.step_score_merges = tools.merges;
    output.sequences.push_back(std::move(sequence));
  }
  steps_done += batch_steps;
  if (options.progress) options.progress(steps_done, all_steps);
}

Making make(const Model& model, const PluginHost& host, const std::vector<PreparedText>& texts,
            const AttributionSpec& spec, const AttributeOptions& options) {
  check_attribution(host.catalogue(), spec);
  Making making{model, spec, options, make_tools(host, spec)};
  for (const auto& [choice, needs] : making.tools.needs) with_function(choice, [&] { require_dropout(needs, model); });
  const bool compares = making.tools.compares();
  for (const PreparedText& text : texts) {
    making.all_steps += text.sequence.columns();
    require_neighbours(text.sequence);
    if (!text.sequence.step_spans.empty()) require_explains_spans(host.catalogue(), spec, spec.method.where);
    if (compares) check_contrast(text.sequence, texts.front().sequence, model.info());
  }
  const auto together = static_cast<std::size_t>(options.batch_size);
  for (std::size_t first = 0; first < texts.size(); first += together)
    making.add(texts.data() + first, texts.data() + std::min(texts.size(), first + together));
  return making;
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
  TensorMemory::watch();
  const TensorMemory::Peak peak;
  const PluginInfo& method = check_choice(host.catalogue(), PluginKind::method, spec.method);
  if (options.warn && !flag(method, "uses_attributed_function", true) && !is_default_score(spec.attributed_function))
    options.warn("method '" + spec.method.name + "' does not explain a score, so attributed function '" +
                 spec.attributed_function.name + "' has no effect");
  if (options.warn && options.attribute_target && model.info().kind == ModelKind::decoder_only)
    options.warn("attribute_target has no effect: a decoder-only model has nothing but its target");
  const Work before = model.work();
  Making making = make(model, host, texts, spec, options);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  AttributionOutput output = std::move(making.output);
  // What a model goes on holding it would have held before, had it been used before: weights that it unpacks late.
  const std::int64_t kept = std::max<std::int64_t>(0, peak.held() - bytes_of(output));
  const Cost cost{.work = model.work() - before, .tensor_bytes = peak.bytes() - kept, .seconds = took.count()};
  output.info = attribution_info(model, host, texts, spec, options, cost);
  if (making.reduced) output.info.emplace_back(kReducedKey, making.tools.reduction->record(host.catalogue()));
  if (!making.notes.empty()) output.info.emplace_back("notes", Value(std::move(making.notes)));
  return output;
}

AttributionPlan plan_attribution(const Model& model, const PluginHost& host, const std::vector<PreparedText>& texts,
                                 const AttributionSpec& spec, const AttributeOptions& options) {
  TensorMemory::watch();
  const TensorMemory::Peak peak;
  if (host.make_method(spec.method)->query(kOpenEnded))
    throw ConfigError(
        spec.method.where,
        plugin_title(PluginKind::method, spec.method.name) +
            ": goes on until the model's answers tell it to stop, so what it takes cannot be planned; run "
            "it with --stats");
  const CountingModel counting(model);
  const Making making = make(counting, host, texts, spec, options);
  return {.work = counting.work(), .tensor_bytes = peak.bytes(), .at_most = making.may_stop_early};
}

void require_served(const Model& model, const PluginHost& host, const AttributionSpec& spec,
                    const AttributeOptions& options) {
  if (host.make_method(spec.method)->query(kOpenEnded)) return;
  // The shortest text with a step. Tokens mean nothing to what only counts.
  const auto tokens = [&](Side side, std::int64_t count) {
    return std::vector<Token>(static_cast<std::size_t>(count), {model.tokenizer().on(side).token(0).value_or(""), 0});
  };
  PreparedText text;
  text.sequence.id = "0";
  text.sequence.target = tokens(Side::target, 2);
  if (model.info().kind == ModelKind::encoder_decoder) text.sequence.source = tokens(Side::source, 1);
  text.sequence.steps = {1, 2};
  text.sequence.contrast = Contrast{.source = text.sequence.source, .target = text.sequence.target, .positions = {1}};
  AttributeOptions quiet = options;
  quiet.progress = {};
  quiet.warn = {};
  quiet.memory_bytes = 0;  // what the texts themselves need is said when they are known
  const CountingModel counting(model);
  try {
    make(counting, host, {text}, spec, quiet);
  } catch (const InputError&) {
    // What this text lacks others may have.
  }
}

void try_plugins(const PluginHost& host, const AttributionSpec& spec) {
  make_tools(host, spec);
  if (spec.aggregation)
    for (const Choice& choice : *spec.aggregation) host.make_aggregator(choice);
}

}  // namespace whence::host
