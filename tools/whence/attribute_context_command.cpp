#include <unistd.h>

#include <iostream>

#include "command.h"
#include "computing_options.h"
#include "console.h"
#include "context_options.h"
#include "host/aligners.h"
#include "host/context.h"
#include "host/context_rendering.h"
#include "host/context_run.h"
#include "host/run.h"
#include "host/run_directory.h"
#include "listener.h"
#include "session.h"
#include "viz_file.h"
#include "whence/context_json.h"

namespace whence::cli {
namespace {

/// A boolean option that is on by itself, and its opposite.
bool on_unless_not(const Arguments& arguments, const std::string& option) {
  if (arguments.on("no-" + option) && arguments.has(option))
    throw ConfigError("--no-" + option + ": cannot be joined with --" + option + "; keep one");
  return !arguments.on("no-" + option) && (!arguments.has(option) || arguments.on(option));
}

/// Asks on the terminal that standard input is; nobody where it is none.
host::AskUser asker() {
  if (!isatty(STDIN_FILENO)) return {};
  return [](const std::string& question) -> std::optional<std::string> {
    std::fputs((question + "\n> ").c_str(), stderr);
    std::string line;
    if (!std::getline(std::cin, line)) return {};
    return line;
  };
}

ContextAttribution attributed(const Arguments& arguments, const Session& session, const host::Experiment& experiment,
                              const Canvas& canvas) {
  const host::ContextInput& input = experiment.context_inputs.front();
  host::ContextOptions options{.batch_size = experiment.batch_size,
                               .memory_bytes = experiment.memory_bytes,
                               .seed = experiment.seed,
                               .eos_baseline = experiment.eos_baseline,
                               .listener = {},
                               .ask = asker(),
                               .show = {},
                               .find_aligner = {}};
  // Before a checkpoint is read; warnings come with the work.
  host::check_context(session.catalogue, input, *experiment.context, static_cast<bool>(options.ask));
  host::try_plugins(session.host, host::with_sensitivity(*experiment.context));
  if (arguments.on("show-intermediate-outputs"))
    options.show = [&](const std::string& title, const AttributionOutput& output) {
      print("== " + title + " ==\n" + session.host.make_renderer({"terminal", {}, {}})->render(output, canvas));
    };
  ConsoleListener listener(arguments);
  options.listener = listener.listener();
  const host::LoadedModel loaded = host::load_model(session.host, experiment);
  host::warn_of_checkpoint(loaded, experiment.model_path, options.listener.warn);
  options.find_aligner = host::Aligners(session.host, experiment, *loaded.model);
  return host::attribute_context(*loaded.model, session.host, input, *experiment.context, experiment.generation,
                                 options);
}

int run(const Arguments& arguments) {
  expect_positional(arguments, 0, 0, "");
  set_threads(arguments, 0);
  const Session session(arguments);
  const bool with_info = on_unless_not(arguments, "add-output-info"), shows = on_unless_not(arguments, "show-viz");
  const host::Experiment experiment = context_experiment_from_options(arguments, session.catalogue);
  const Canvas canvas = output_canvas(arguments);
  const auto save_path = arguments.path("save-path");
  if (save_path) host::check_writable(*save_path);
  const auto viz = viz_file(arguments);
  if (viz) host::check_draws_context(session.host, viz->renderer);
  const ContextAttribution result = attributed(arguments, session, experiment, canvas);
  const host::Notice notice = notices(arguments);
  if (save_path) {
    host::write_file(*save_path, to_context_json(result, with_info));
    notice("saved the result to " + *save_path);
  }
  if (viz) {
    host::write_file(viz->path, host::render_context(session.host, {viz->renderer, ""}, result, Canvas{}));
    notice("wrote " + viz->path);
  }
  if (arguments.on("json"))
    print(to_context_json(result, with_info) + "\n");
  else if (shows)
    print(host::render_context(session.host, {{"terminal", {}, {}}, ""}, result, canvas));
  return 0;
}

}  // namespace

Command attribute_context_command() {
  return {"attribute-context",
          "-m MODEL --input-current-text TEXT --input-context-text TEXT [options]",
          "Find what an output takes from its context",
          "Finds the generated tokens that change when context is there, and attributes each of them to the tokens of "
          "the contexts, and to documents or sentences (docs/context-attribution.md). That no token depends on context "
          "is a valid result.",
          context_options(),
          run,
          /*computes=*/true};
}

}  // namespace whence::cli
