#include "command.h"
#include "console.h"
#include "host/run.h"
#include "json_value.h"
#include "session.h"

namespace whence::cli {
namespace {

int run(const Arguments& arguments) {
  expect_positional(arguments, 1, SIZE_MAX, "at least one experiment file");
  auto report = nlohmann::ordered_json::array();
  ExitStatus worst = ExitStatus::done;
  for (const std::string& file : arguments.positional()) {
    std::string problem;
    try {
      const host::Experiment experiment = host::load_experiment(file);
      const Session session(arguments, experiment.plugin_paths);
      host::check_experiment(session.catalogue, experiment);
      host::require_model(experiment.model_path, experiment.model_where);
    } catch (const Error& error) {
      problem = error.what();
      if (worst == ExitStatus::done) worst = error.status();
    }
    report.push_back({{"file", file}, {"problem", problem}});
    if (!arguments.on("json")) print(problem.empty() ? file + ": ok\n" : problem + "\n");
  }
  if (arguments.on("json")) print(report.dump(2) + "\n");
  return static_cast<int>(worst);
}

}  // namespace

Command validate_command() {
  return {"validate",
          "FILE... [options]",
          "Check experiment files without running them",
          "Checks the file, the names of plugins and their parameters, the input file, and that the model is there. "
          "Neither libraries nor models "
          "are opened. The exit status is that of the first problem.",
          {},
          run};
}

}  // namespace whence::cli
