#include <cmath>
#include <filesystem>

#include "base_options.h"
#include "command.h"
#include "computing_options.h"
#include "console.h"
#include "host/evaluation_summary.h"
#include "host/run_directory.h"
#include "host/run_manifest.h"
#include "host/side_by_side.h"
#include "host/yaml.h"
#include "json_value.h"
#include "listener.h"
#include "session.h"
#include "text_table.h"

namespace whence::cli {
namespace {

namespace fs = std::filesystem;

/// What is evaluated: attributions and the experiment that they belong to, its model and evaluation included.
struct Subject {
  host::Experiment experiment;
  std::vector<host::NamedOutput> results;
  std::vector<std::string> ids;  ///< of the texts
  std::optional<fs::path> directory;
};

bool is_folder(const std::string& path) {
  std::error_code unreadable;
  return fs::is_directory(path, unreadable);
}

bool is_experiment(const std::string& path) {
  const std::string suffix = fs::path(path).extension().string();
  return suffix == ".yaml" || suffix == ".yml";
}

/// The options, put in place of what the experiment says.
void apply_options(const Arguments& arguments, host::Experiment& experiment) {
  host::EvaluationSpec spec = experiment.evaluation.value_or(host::EvaluationSpec{});
  const auto choices = [&](const std::string& name, const char* what) {
    std::vector<host::Choice> list;
    for (const std::string& word : arguments.list(name)) list.push_back(choice_from_option(word, "--" + name, what));
    return list;
  };
  if (arguments.has("metrics")) spec.metrics = choices("metrics", "metric");
  Value::Map rest;  // checked where an experiment's are
  const auto put = [&](const char* key, Value value) { rest.emplace_back(key, std::move(value)); };
  if (arguments.has("removals")) {
    Value::List removals;
    for (const std::string& word : arguments.list("removals"))
      removals.push_back(word.find_first_of(":{") == std::string::npos ? Value(word, {"--removals", 0, 0})
                                                                       : host::parse_yaml(word, "--removals"));
    put("removals", Value(std::move(removals), {"--removals", 0, 0}));
  }
  for (const char* key : {"units", "protect"})
    if (const auto word = arguments.text(key)) put(key, Value(*word, {"--" + std::string(key), 0, 0}));
  for (const auto& [key, option] : {std::pair("random_draws", "random-draws"), std::pair("resamples", "resamples")})
    if (const auto number = arguments.integer(option)) put(key, Value(*number, {"--" + std::string(option), 0, 0}));
  const host::EvaluationSpec given = host::parse_evaluation(Value(std::move(rest)));
  if (arguments.has("removals")) spec.removals = given.removals;
  if (arguments.has("units")) spec.units = given.units;
  if (arguments.has("protect")) spec.protect = given.protect;
  if (arguments.has("random-draws")) spec.random_draws = given.random_draws;
  if (arguments.has("resamples")) spec.resamples = given.resamples;
  if (const auto score = arguments.text("score")) spec.score = choice_from_option(*score, "--score", "step function");
  if (arguments.has("aggregators")) spec.aggregation = chain_from_option(arguments, "aggregators");
  if (const auto seed = arguments.integer("seed")) {
    if (*seed < 0) throw ConfigError("--seed: " + std::to_string(*seed) + " is negative");
    experiment.seed = static_cast<std::uint64_t>(*seed);
  }
  if (const auto size = arguments.integer("batch-size")) {
    if (*size < 1)
      throw ConfigError("--batch-size: " + std::to_string(*size) + " texts make no batch; expected at least 1");
    experiment.batch_size = *size;
  }
  if (const auto model = arguments.path("model"))
    experiment.model_path = host::find_model(*model, fs::current_path(), {"--model", 0, 0});
  if (const auto memory = given_memory(arguments)) experiment.memory_bytes = *memory;
  experiment.evaluation = std::move(spec);
}

/// The experiment that the arguments name or whose run they name; of result files one that holds a model alone.
Subject subject_of(const Arguments& arguments) {
  Subject subject;
  const std::vector<std::string>& paths = arguments.positional();
  if (is_experiment(paths.front())) {
    if (paths.size() > 1)
      throw ConfigError("'" + paths[1] + "': an experiment is evaluated alone; name results or runs to join them");
    subject.experiment = host::load_experiment(paths.front());
    if (subject.experiment.context)
      throw ConfigError(paths.front() +
                        ": has 'context', whose cues are of selected tokens alone; evaluate one with 'attributions'");
    return subject;
  }
  subject.results = host::read_results(paths);
  for (const std::string& path : paths)
    if (is_folder(path)) {
      subject.experiment = host::parse_experiment(host::load_yaml(fs::path(path) / host::kExperimentFile), path);
      if (paths.size() == 1) subject.directory = path;
      break;
    }
  if (subject.experiment.model_path.empty() && !arguments.has("model"))
    throw ConfigError("--model: no model is given; a result file does not say where the model lies that made it");
  return subject;
}

void name_texts(Subject& subject) {
  const std::size_t texts = subject.results.front().output.sequences.size();
  for (std::size_t i = 0; i < texts; ++i)
    subject.ids.push_back(subject.experiment.inputs.size() == texts ? subject.experiment.inputs[i].id
                                                                    : std::to_string(i));
}

std::string estimate_text(const host::Estimate& estimate, bool with_sign) {
  if (estimate.steps == 0) return "-";
  const auto number = [](double value) { return fixed(value, 4); };
  return (with_sign && estimate.mean >= 0 ? "+" : "") + number(estimate.mean) + " [" + number(estimate.low) + ", " +
         number(estimate.high) + "]";
}

std::string as_text(const host::EvaluatedResults& results, const std::vector<host::EvaluationRow>& summary,
                    const host::EvaluationSpec& spec, std::size_t texts) {
  char percent[16];
  std::snprintf(percent, sizeof percent, "%g%%", 100 * spec.confidence);
  std::string text = "evaluated on " + results.score + ": means over " + std::to_string(results.steps.size()) +
                     " steps of " + std::to_string(texts) + " texts with " + percent +
                     " bootstrap intervals, units: " + spec.units + "\n";
  for (std::size_t first = 0; first < summary.size(); first += results.names.size()) {
    const host::EvaluatedMeasure& measure = results.measures[summary[first].measure];
    std::vector<std::vector<std::string>> rows{{measure.name, "mean", "over random", "steps"}};
    for (std::size_t i = first; i < first + results.names.size(); ++i) {
      const host::EvaluationRow& row = summary[i];
      const bool is_random = row.attribution == results.random;
      rows.push_back({"  " + results.names[row.attribution], estimate_text(row.value, false),
                      is_random ? "" : estimate_text(row.over_random, true), std::to_string(row.value.steps)});
    }
    text += "\n" + std::string(measure.removal.empty() ? "no removal" : "removal: " + measure.removal) + ", " +
            (measure.higher_is_better ? "higher" : "lower") + " is better\n" + text_table(rows);
  }
  for (const std::string& note : results.notes) text += "\nnote: " + note + "\n";
  return text;
}

int run(const Arguments& arguments) {
  expect_positional(arguments, 1, SIZE_MAX, "an experiment file, a run directory or result files");
  Subject subject = subject_of(arguments);
  host::Experiment& experiment = subject.experiment;
  apply_options(arguments, experiment);
  host::require_single_steps(experiment, "evaluations remove tokens for single steps");
  const auto save_path = arguments.path("save-path");
  if (save_path) host::check_writable(*save_path);
  set_threads(arguments, experiment.threads);
  // A stored experiment may name folders of another machine.
  const bool trusted = subject.results.empty();
  const Session session(arguments, trusted ? experiment.plugin_paths : std::vector<fs::path>{});
  const host::EvaluationSpec& spec = *experiment.evaluation;
  host::check_evaluation(session.catalogue, spec);
  host::EvaluatedResults evaluated;
  {
    ConsoleListener console(arguments);
    host::RunListener listener = console.listener();
    if (subject.results.empty()) {
      host::RunResult made = host::run_experiment(session.host, experiment, false, listener);
      subject.results = std::move(made.outputs);
      subject.directory = made.directory;
    }
    name_texts(subject);
    host::require_model(experiment.model_path, experiment.model_where);
    const host::LoadedModel loaded = host::load_model(session.host, experiment);
    host::EvaluateOptions options{.batch_size = experiment.batch_size,
                                  .eos_baseline = experiment.eos_baseline,
                                  .memory_bytes = experiment.memory_bytes,
                                  .seed = experiment.seed};
    if (listener.phase) options.progress = listener.phase("evaluating");
    evaluated = host::evaluate(session.host, *loaded.model, subject.results, subject.ids, spec, options);
  }
  const std::vector<host::EvaluationRow> summary =
      host::summarize(evaluated, spec.resamples, spec.confidence, experiment.seed);
  const auto json = [&](bool with_rows) {
    return host::evaluation_json(evaluated, summary, spec, experiment.seed, with_rows);
  };
  const std::optional<fs::path> file = save_path           ? std::optional(fs::path(*save_path))
                                       : subject.directory ? std::optional(*subject.directory / "evaluation.json")
                                                           : std::nullopt;
  if (file) {
    host::write_file(*file, json(true));
    notices(arguments)("stored in " + file->string());
  }
  print(arguments.on("json") ? json(false) : as_text(evaluated, summary, spec, subject.ids.size()));
  return 0;
}

}  // namespace

Command evaluate_command() {
  using enum OptionKind;
  return {
      "evaluate",
      "EXPERIMENT | RUN | RESULT... [options]",
      "Measure how faithful attributions are to the model",
      "Runs an EXPERIMENT unless its run is stored, or takes the attributions of a RUN or of RESULT files, and "
      "measures each of them, and "
      "random, position and uniform baselines, by what removing tokens does to the frozen target tokens "
      "(docs/evaluation.md). One row for "
      "each text, step, metric and method goes to --save-path, or to evaluation.json in the folder of the run. Options "
      "stand in place of "
      "what the experiment says under 'evaluation'.",
      {{"metrics",
        list,
        {},
        "NAME",
        "metrics, with parameters as 'aopc: {ratios: [0.2]}'; default: all but sensitivity"},
       {"removals",
        list,
        {},
        "NAME",
        "what becomes of removed tokens: baseline (default), delete, mask, mean, token, zero, or 'token: TEXT'"},
       {"units", value, {}, "KIND", "what is removed as one: token (default), word, sentence, line, paragraph, turn"},
       {"protect", value, {}, "WHAT", "never removed: special tokens (special, default), none, or template"},
       {"score", value, {}, "NAME", "step function that is evaluated; default: what all attributions explain"},
       {"aggregators", list, {}, "NAME", "chain that makes attributions token-level; default: their own"},
       {"random-draws", value, {}, "N", "draws of the random baseline; default: 20"},
       {"resamples", value, {}, "N", "resamples of the bootstrap; default: 1000"},
       {"seed", value, {}, "N", "of everything random; default: that of the experiment, or 0"},
       {"batch-size", value, {}, "N", "texts that share passes; results don't depend on it"},
       {"model", value, {"-m"}, "PATH", "the model, where the results don't say or where it lies elsewhere"},
       {"save-path", value, {"-o"}, "FILE", "where the rows go"},
       memory_option()},
      run,
      /*computes=*/true};
}

}  // namespace whence::cli
