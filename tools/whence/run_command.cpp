#include "command.h"
#include "console.h"
#include "host/run_manifest.h"
#include "json_value.h"
#include "listener.h"
#include "session.h"

namespace whence::cli {
namespace {

std::string summary_json(const host::RunResult& result) {
  auto attributions = nlohmann::ordered_json::array();
  for (const host::NamedOutput& output : result.outputs)
    attributions.push_back({{"name", output.spec.name},
                            {"result", (result.directory / host::result_file(output.spec.name)).string()},
                            {"sequences", output.output.sequences.size()}});
  return nlohmann::ordered_json{
             {"directory", result.directory.string()}, {"reused", result.reused}, {"attributions", attributions}}
             .dump(2) +
         "\n";
}

int run(const Arguments& arguments) {
  expect_positional(arguments, 1, 1, "the experiment file");
  host::Experiment experiment = host::load_experiment(arguments.positional().front());
  if (const auto folder = arguments.path("output-dir"))
    experiment.output_dir = std::filesystem::absolute(*folder).lexically_normal();
  set_threads(arguments, experiment.threads);
  const Canvas canvas = output_canvas(arguments);
  const Session session(arguments, experiment.plugin_paths);
  host::RunResult result;
  {
    ConsoleListener listener(arguments);
    result = host::run_experiment(session.host, experiment, arguments.on("force"), listener.listener());
  }
  // Before rendering, which may fail: the results are there all the same.
  notices(arguments)(result.reused ? "nothing to do: this run is stored in " + result.directory.string() +
                                         "; --force makes it again"
                                   : "stored in " + result.directory.string());
  if (arguments.on("json")) {
    print(summary_json(result));
  } else {
    for (const host::OutputSpec& output : experiment.outputs) {
      if (!output.file.empty()) continue;
      for (const host::NamedOutput& named : result.outputs) {
        if (result.outputs.size() > 1) print("== " + named.spec.name + " ==\n");
        print(host::render(session.host, output, named, canvas));
      }
    }
  }
  return 0;
}

}  // namespace

Command run_command() {
  using enum OptionKind;
  return {"run",
          "FILE [options]",
          "Run an experiment file",
          "Makes every attribution of the experiment (docs/experiment-yaml.md) and stores results, resolved experiment "
          "and manifest in a folder "
          "of its own. A run that is stored already is shown, not made again.",
          {{"force", flag, {}, "", "make the run again even if it is stored"},
           {"output-dir", value, {"-o"}, "DIR", "parent of the run's folder, instead of the experiment's output_dir"}},
          run,
          /*computes=*/true};
}

}  // namespace whence::cli
