#include <cstdio>

#include "command.h"
#include "computing_options.h"
#include "console.h"
#include "cost_report.h"
#include "host/context_rendering.h"
#include "host/run_manifest.h"
#include "json_value.h"
#include "listener.h"
#include "session.h"

namespace whence::cli {
namespace {

const ModelInfo* model_of(const host::RunResult& result) { return result.model ? &*result.model : nullptr; }

std::string summary_json(const host::RunResult& result, bool with_stats) {
  auto attributions = nlohmann::ordered_json::array();
  for (const host::NamedOutput& output : result.outputs)
    attributions.push_back({{"name", output.spec.name},
                            {"result", (result.directory / host::result_file(output.spec.name)).string()},
                            {"sequences", output.output.sequences.size()}});
  auto contexts = nlohmann::ordered_json::array();
  for (const host::NamedContext& context : result.contexts)
    contexts.push_back({{"id", context.id},
                        {"result", (result.directory / host::result_file(context.id)).string()},
                        {"context_sensitive_tokens", context.result.selected.size()}});
  nlohmann::ordered_json summary{{"directory", result.directory.string()},
                                 {"reused", result.reused},
                                 {"attributions", attributions},
                                 {"contexts", contexts}};
  if (with_stats) summary["stats"] = stats_json(result.outputs, model_of(result));
  return summary.dump(2) + "\n";
}

std::vector<Option> options() {
  using enum OptionKind;
  std::vector<Option> options{
      {"force", flag, {}, "", "make the run again even if it is stored"},
      {"output-dir", value, {"-o"}, "DIR", "parent of the run's folder, instead of the experiment's output_dir"}};
  const std::vector<Option> computing = computing_options();
  options.insert(options.end(), computing.begin(), computing.end());
  return options;
}

int run(const Arguments& arguments) {
  expect_positional(arguments, 1, 1, "the experiment file");
  host::Experiment experiment = host::load_experiment(arguments.positional().front());
  if (const auto folder = arguments.path("output-dir"))
    experiment.output_dir = std::filesystem::absolute(*folder).lexically_normal();
  apply_computing_options(arguments, experiment);
  set_threads(arguments, experiment.threads);
  const Canvas canvas = output_canvas(arguments);
  const Session session(arguments, experiment.plugin_paths);
  if (arguments.on("plan")) {
    host::check_experiment(session.catalogue, experiment);
    ConsoleListener listener(arguments);
    const host::RunPlan plan = host::plan_run(session.host, experiment, listener.listener());
    print(arguments.on("json") ? plan_json(plan).dump(2) + "\n" : plan_text(plan));
    return 0;
  }
  host::RunResult result;
  {
    ConsoleListener listener(arguments);
    result = host::run_experiment(session.host, experiment, arguments.on("force"), listener.listener());
  }
  // Before rendering, which may fail: the results are there all the same.
  notices(arguments)(result.reused ? "nothing to do: this run is stored in " + result.directory.string() +
                                         "; --force makes it again"
                                   : "stored in " + result.directory.string());
  if (arguments.on("stats")) std::fputs(stats_text(result.outputs, model_of(result)).c_str(), stderr);
  if (arguments.on("json")) {
    print(summary_json(result, arguments.on("stats")));
  } else {
    for (const host::OutputSpec& output : experiment.outputs) {
      if (!output.file.empty()) continue;
      for (const host::NamedOutput& named : result.outputs) {
        if (result.outputs.size() > 1) print("== " + named.spec.name + " ==\n");
        print(host::render(session.host, output, named, canvas, host::find_among(result.outputs)));
      }
      for (const host::NamedContext& context : result.contexts) {
        if (result.contexts.size() > 1) print("== " + context.id + " ==\n");
        print(host::render_context(session.host, output, context.result, canvas));
      }
    }
  }
  return 0;
}

}  // namespace

Command run_command() {
  return {"run",
          "FILE [options]",
          "Run an experiment file",
          "Makes every attribution of the experiment, or finds what its texts take from context "
          "(docs/experiment-yaml.md) and stores results, resolved experiment "
          "and manifest in a folder "
          "of its own. A run that is stored already is shown, not made again.",
          options(),
          run,
          /*computes=*/true};
}

}  // namespace whence::cli
