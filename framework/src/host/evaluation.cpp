#include "host/evaluation.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/nan_to_num.h>
#include <ATen/ops/nanmean.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <chrono>

#include "host/attribution_info.h"
#include "host/guard.h"
#include "host/side_by_side.h"
#include "whence/removal_choice.h"

namespace whence::host {
namespace {

const Choice kLogProbability{"probability", Value(Value::Map{{"logprob", Value(true)}}), {}};

const Value* entry(const AttributionOutput& output, std::string_view key) {
  for (const auto& [name, value] : output.info)
    if (name == key) return &value;
  return nullptr;
}

/// Method and attributed function of a result file, as far as it tells and they are installed.
void read_spec(const Catalogue& catalogue, NamedOutput& result) {
  if (!result.spec.method.name.empty()) return;
  const auto choice = [&](const char* name, const char* params, PluginKind kind, std::string_view suffix) {
    Choice found;
    const Value *given = entry(result.output, name), *with = entry(result.output, params);
    if (!given || !given->is_string()) return found;
    std::string plugin = given->as_string();
    if (plugin.ends_with(suffix)) plugin.resize(plugin.size() - suffix.size());
    const std::vector<std::string> known = catalogue.names(kind);
    if (std::find(known.begin(), known.end(), plugin) == known.end()) return found;
    found.name = plugin;
    if (with && with->is_map()) found.params = *with;
    return found;
  };
  result.spec.attributed_function = choice("attributed_fn", "attributed_fn_args", PluginKind::step_function, "_fn");
  // The parameters of other toolkits are others.
  if (cost_of(result.output))
    result.spec.method = choice("attribution_method", "attribution_args", PluginKind::method, "");
}

bool explains(const Catalogue& catalogue, const AttributionSpec& spec) {
  return !spec.attributed_function.name.empty() &&
         (spec.method.name.empty() ||
          flag(catalogue.find(PluginKind::method, spec.method.name), "uses_attributed_function", true));
}

bool same_choice(const Catalogue& catalogue, const Choice& a, const Choice& b) {
  const auto params = [&](const Choice& choice) {
    return recorded_params(catalogue.find(PluginKind::step_function, choice.name, choice.where), choice);
  };
  return a.name == b.name && params(a) == params(b);
}

/// What is evaluated where the user does not say: what all attributions explain, or the probability.
Choice score_of(const Catalogue& catalogue, const std::vector<NamedOutput>& results, const EvaluationSpec& spec,
                std::vector<std::string>& notes) {
  if (spec.score) return *spec.score;
  std::optional<Choice> common;
  for (const NamedOutput& result : results) {
    if (!explains(catalogue, result.spec)) continue;
    if (common && !same_choice(catalogue, *common, result.spec.attributed_function)) {
      notes.push_back(
          "the attributions explain different scores; what is measured on one is measured on the probability");
      return {"probability", {}, {}};
    }
    common = result.spec.attributed_function;
  }
  return common.value_or(Choice{"probability", {}, {}});
}

ScoreScale scale_of(const Catalogue& catalogue, const Choice& score) {
  if (score.name != kLogProbability.name) return ScoreScale::score;
  return same_choice(catalogue, score, kLogProbability) ? ScoreScale::log_probability : ScoreScale::probability;
}

/// The texts of a result, with its tokens as they are.
std::vector<PreparedText> frozen_texts(const Model& model, const NamedOutput& result,
                                       const std::vector<std::string>& ids) {
  if (entry(result.output, "explained_spans"))
    throw InputError("'" + result.spec.name + "': explains spans of steps as one, but evaluations remove tokens for " +
                     "single steps; attribute without 'explain' to evaluate");
  std::vector<PreparedText> texts;
  for (std::size_t i = 0; i < result.output.sequences.size(); ++i) {
    const SequenceAttribution& own = result.output.sequences[i];
    const auto check = [&](const std::vector<Token>& tokens, Side side) {
      for (std::size_t at = 0; at < tokens.size(); ++at) {
        const auto known = model.tokenizer().on(side).token(tokens[at].id);
        if (known != tokens[at].text)
          throw InputError("'" + result.spec.name + "', text " + std::to_string(i) + ": token " + std::to_string(at) +
                           " is '" + tokens[at].text + "' (id " + std::to_string(tokens[at].id) + "), which model '" +
                           model.info().name + "' " + (known ? "calls '" + *known + "'" : "does not have") +
                           "; evaluate with the model that was attributed");
      }
    };
    Sequence sequence{.id = ids[i], .target = own.target, .target_labels = own.target_labels, .steps = own.steps};
    check(own.target, Side::target);
    if (model.info().kind == ModelKind::encoder_decoder) {
      check(own.source, Side::source);
      sequence.source = own.source;
      sequence.source_labels = own.source_labels;
    }
    texts.push_back({.sequence = std::move(sequence), .constrained = true});
  }
  return texts;
}

/// One number for each unit and step of one text, from those of its tokens.
Tensor scores_of_units(const SequenceAttribution& sequence, const std::vector<RemovableUnit>& units) {
  std::vector<Tensor> rows;
  for (const RemovableUnit& unit : units) {
    const Tensor& own = unit.side == Side::source ? sequence.source_attributions : sequence.target_attributions;
    rows.push_back(own.defined() ? at::nan_to_num(own.slice(0, unit.span.start, unit.span.end).to(at::kDouble)).sum(0)
                                 : at::zeros({sequence.steps.size()}, at::kDouble));
  }
  return rows.empty() ? at::zeros({0, sequence.steps.size()}, at::kDouble) : at::stack(rows);
}

/// A baseline: one number for each unit of a text, whatever the step.
template <class Make>
UnitScores baseline(const std::string& name, const AblationScores& ablations, const Make& make) {
  UnitScores result{.name = name};
  for (std::int64_t b = 0; b < ablations.texts(); ++b)
    result.scores.push_back(make(b, std::ssize(ablations.units(b)), ablations.steps(b)));
  return result;
}

/// Random ones first.
void add_baselines(const AblationScores& ablations, std::int64_t draws, std::vector<UnitScores>& attributions) {
  for (std::int64_t draw = 0; draw < draws; ++draw)
    attributions.push_back(baseline("random", ablations, [&](std::int64_t b, std::int64_t units, std::int64_t steps) {
      return ablations.problem().random(b, "random baseline", draw).uniform({units, steps});
    }));
  const auto place = [](std::int64_t units) { return (at::arange(units, at::kDouble) + 1) / units; };
  attributions.push_back(baseline("recency", ablations, [&](std::int64_t, std::int64_t units, std::int64_t steps) {
    return place(units).unsqueeze(1).expand({units, steps});
  }));
  attributions.push_back(baseline("primacy", ablations, [&](std::int64_t, std::int64_t units, std::int64_t steps) {
    return place(units).flip(0).unsqueeze(1).expand({units, steps});
  }));
  attributions.push_back(baseline("uniform", ablations, [&](std::int64_t, std::int64_t units, std::int64_t steps) {
    return at::full({units, steps}, 1.0 / static_cast<double>(std::max<std::int64_t>(1, units)), at::kDouble);
  }));
}

struct NamedMetric {
  std::unique_ptr<Metric> metric;
  Choice choice;
  bool removes;
};

std::vector<Choice> chosen_metrics(const EvaluationSpec& spec) {
  if (!spec.metrics.empty()) return spec.metrics;
  std::vector<Choice> metrics;
  for (const std::string& name : default_metrics()) metrics.push_back({name, {}, {}});
  return metrics;
}

/// An evaluation in the making.
class Evaluator {
 public:
  Evaluator(const PluginHost& host, const Model& model, const std::vector<NamedOutput>& stored,
            const std::vector<NamedOutput>& reduced, const EvaluationSpec& spec, const EvaluateOptions& options,
            EvaluatedResults& results)
      : host_(host),
        model_(model),
        stored_(stored),
        reduced_(reduced),
        spec_(spec),
        options_(options),
        results_(results) {
    const Choice score = score_of(host.catalogue(), stored, spec, results.notes);
    log_probability_ = host.make_step_function(kLogProbability);
    scale_ = scale_of(host.catalogue(), score);
    if (scale_ == ScoreScale::score) score_ = host.make_step_function(score);
    results.score = scale_ == ScoreScale::log_probability ? "log-probability" : score.name;
    for (const NamedOutput& result : stored)
      explains_.push_back(explains(host.catalogue(), result.spec) &&
                          same_choice(host.catalogue(), result.spec.attributed_function, score));
    for (const Choice& choice : chosen_metrics(spec))
      metrics_.push_back({host.make_metric(choice), choice,
                          flag(host.catalogue().find(PluginKind::metric, choice.name), "removes", true)});
    for (const NamedOutput& result : reduced)
      for (const SequenceAttribution& sequence : result.output.sequences)
        target_ = target_ && sequence.target_attributions.defined();
  }

  void add(const std::vector<PreparedText>& texts, std::size_t first, std::size_t last, std::int64_t batches);
  /// All measures, with random draws folded into one row.
  std::vector<EvaluatedMeasure> measures() const;

 private:
  std::vector<UnitScores> attributions(const std::vector<PreparedText>& texts, std::size_t first, std::size_t last,
                                       const AblationScores& ablations) const;
  void keep(const NamedMetric& metric, const std::string& removal, const Measure& measure,
            const AblationScores& ablations);

  const PluginHost& host_;
  const Model& model_;
  const std::vector<NamedOutput>&stored_, &reduced_;
  const EvaluationSpec& spec_;
  const EvaluateOptions& options_;
  EvaluatedResults& results_;
  std::unique_ptr<StepFunction> log_probability_, score_;
  ScoreScale scale_ = ScoreScale::score;
  std::vector<bool> explains_;
  std::vector<NamedMetric> metrics_;
  bool target_ = true;  ///< the target is attributed, too
  std::int64_t taken_ = 0;

  struct Kept {
    const NamedMetric* metric;
    std::string removal;
    Measure measure;  ///< values [A,N]
  };
  std::vector<Kept> kept_;
};

std::vector<UnitScores> Evaluator::attributions(const std::vector<PreparedText>& texts, std::size_t first,
                                                std::size_t last, const AblationScores& ablations) const {
  std::vector<UnitScores> result;
  const auto of_units = [&ablations](const SequenceAttribution* sequences) {
    std::vector<Tensor> scores;
    for (std::int64_t b = 0; b < ablations.texts(); ++b)
      scores.push_back(scores_of_units(sequences[b], ablations.units(b)));
    return scores;
  };
  for (std::size_t i = 0; i < reduced_.size(); ++i) {
    UnitScores own{.name = reduced_[i].spec.name,
                   .scores = of_units(reduced_[i].output.sequences.data() + first),
                   .explains_score = explains_[i]};
    if (!stored_[i].spec.method.name.empty())
      own.again = [this, &texts, first, last, i, of_units](const Model& other) {
        const std::vector<PreparedText> batch(texts.begin() + static_cast<std::ptrdiff_t>(first),
                                              texts.begin() + static_cast<std::ptrdiff_t>(last));
        const AttributeOptions options{.batch_size = options_.batch_size,
                                       .attribute_target = target_ && model_.info().kind == ModelKind::encoder_decoder,
                                       .eos_baseline = options_.eos_baseline,
                                       .memory_bytes = options_.memory_bytes,
                                       .seed = options_.seed};
        std::vector<NamedOutput> made{{stored_[i].spec, attribute(other, host_, batch, stored_[i].spec, options)}};
        return of_units(token_level(host_, made, spec_.aggregation).front().output.sequences.data());
      };
    result.push_back(std::move(own));
  }
  add_baselines(ablations, spec_.random_draws, result);
  return result;
}

void Evaluator::keep(const NamedMetric& metric, const std::string& removal, const Measure& measure,
                     const AblationScores& ablations) {
  std::vector<Tensor> steps;
  for (std::int64_t b = 0; b < ablations.texts(); ++b)
    steps.push_back(measure.values.select(1, b).narrow(1, 0, ablations.steps(b)).to(at::kDouble));
  Tensor values = at::cat(steps, 1);
  for (const std::string& note : measure.notes)
    if (std::find(results_.notes.begin(), results_.notes.end(), note) == results_.notes.end())
      results_.notes.push_back(note);
  for (Kept& kept : kept_)
    if (kept.removal == removal && kept.measure.name == measure.name) {
      if (kept.metric != &metric)
        throw ConfigError("measures '" + measure.name + "', as another of the metrics does; keep one of the two");
      kept.measure.values = at::cat({kept.measure.values, values}, 1);
      return;
    }
  kept_.push_back({&metric, removal, {measure.name, measure.higher_is_better, values, {}}});
}

void Evaluator::add(const std::vector<PreparedText>& texts, std::size_t first, std::size_t last, std::int64_t batches) {
  std::vector<Sequence> sequences;
  for (std::size_t i = first; i < last; ++i) sequences.push_back(texts[i].sequence);
  Problem::Options options;
  options.attribute_target = target_;
  options.eos_baseline = options_.eos_baseline;
  options.memory_bytes = options_.memory_bytes;
  options.seed = options_.seed;
  const Problem log_probabilities(model_, *log_probability_, sequences, options);
  std::optional<Problem> scores;
  if (score_) scores.emplace(model_, *score_, std::move(sequences), options);
  const UnitChoice units(unit_params(spec_));
  for (const RemovalSpec& removal : spec_.removals) {
    const RemovalChoice choice(removal_params(removal));
    AblationScores ablations(log_probabilities, scores ? &*scores : nullptr, scale_, units, choice);
    const std::vector<UnitScores> evaluated = attributions(texts, first, last, ablations);
    const Evaluation evaluation{ablations, evaluated, options_.seed};
    for (const NamedMetric& metric : metrics_) {
      if (metric.removes || removal == spec_.removals.front())
        with_place(metric.choice.where, plugin_title(PluginKind::metric, metric.choice.name), [&] {
          for (const Measure& measure : metric.metric->measure(evaluation))
            keep(metric, metric.removes ? removal.name() : "", measure, ablations);
        });
      if (options_.progress) options_.progress(++taken_, batches * std::ssize(spec_.removals) * std::ssize(metrics_));
    }
  }
}

std::vector<EvaluatedMeasure> Evaluator::measures() const {
  std::vector<EvaluatedMeasure> result;
  const std::int64_t count = std::ssize(stored_), draws = spec_.random_draws;
  for (const auto& [_, removal, measure] : kept_) {
    const Tensor drawn = measure.values.narrow(0, count, draws);
    const Tensor values = at::cat(
        {measure.values.narrow(0, 0, count), at::nanmean(drawn, 0, true), measure.values.slice(0, count + draws)});
    result.push_back({removal, measure.name, measure.higher_is_better, values, drawn});
  }
  return result;
}

}  // namespace

void check_evaluation(const Catalogue& catalogue, const EvaluationSpec& spec) {
  for (const Choice& choice : chosen_metrics(spec)) check_choice(catalogue, PluginKind::metric, choice);
  if (spec.score) check_choice(catalogue, PluginKind::step_function, *spec.score);
  for (const Choice& choice : spec.aggregation.value_or(std::vector<Choice>{}))
    check_choice(catalogue, PluginKind::aggregator, choice);
  UnitChoice{unit_params(spec)};
}

EvaluatedResults evaluate(const PluginHost& host, const Model& model, std::vector<NamedOutput> results,
                          const std::vector<std::string>& ids, const EvaluationSpec& spec,
                          const EvaluateOptions& options) {
  const auto began = std::chrono::steady_clock::now();
  const Work before = model.work();
  check_evaluation(host.catalogue(), spec);
  if (results.empty()) throw ConfigError("there is nothing to evaluate; give at least one attribution");
  require_same_steps(results);
  for (NamedOutput& result : results) read_spec(host.catalogue(), result);
  const std::vector<PreparedText> texts = frozen_texts(model, results.front(), ids);
  const std::vector<NamedOutput> reduced = token_level(host, results, spec.aggregation);
  for (std::size_t i = 0; i < results.size(); ++i)
    for (std::size_t b = 0; b < texts.size(); ++b)
      if (reduced[i].output.sequences[b].target != results[i].output.sequences[b].target ||
          reduced[i].output.sequences[b].source != results[i].output.sequences[b].source ||
          reduced[i].output.sequences[b].steps != results[i].output.sequences[b].steps)
        throw ConfigError("attribution '" + results[i].spec.name +
                          "': its aggregation changes tokens or steps, but removal works on those of the model; give "
                          "the evaluation an aggregation of its own, and choose units in place of merged tokens");

  EvaluatedResults evaluated;
  for (const NamedOutput& result : results) evaluated.names.push_back(result.spec.name);
  evaluated.random = evaluated.names.size();
  for (const char* name : {"random", "recency", "primacy", "uniform"}) {
    if (std::find(evaluated.names.begin(), evaluated.names.end(), name) != evaluated.names.end())
      throw ConfigError("attribution '" + std::string(name) + "': is the name of a baseline; give it another");
    evaluated.names.push_back(name);
  }
  for (const PreparedText& text : texts)
    for (std::int64_t t = 0; t < text.sequence.steps.size(); ++t) {
      const std::int64_t position = text.sequence.steps.start + t;
      evaluated.steps.push_back(
          {text.sequence.id, t, position, text.sequence.target[static_cast<std::size_t>(position)].text});
    }
  Evaluator evaluator(host, model, results, reduced, spec, options, evaluated);
  const auto together = static_cast<std::size_t>(options.batch_size);
  const auto batches = static_cast<std::int64_t>((texts.size() + together - 1) / together);
  for (std::size_t first = 0; first < texts.size(); first += together)
    evaluator.add(texts, first, std::min(texts.size(), first + together), batches);
  evaluated.measures = evaluator.measures();
  evaluated.work = model.work() - before;
  evaluated.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  return evaluated;
}

}  // namespace whence::host
