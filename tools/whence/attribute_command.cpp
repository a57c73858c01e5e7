#include "attribute_options.h"
#include "command.h"
#include "console.h"
#include "cost_report.h"
#include "host/run.h"
#include "host/run_directory.h"
#include "listener.h"
#include "session.h"
#include "viz_file.h"
#include "whence/result_json.h"

namespace whence::cli {
namespace {

std::string seconds_text(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f s", seconds);
  return text;
}

void say_cost(const Arguments& arguments, const Session& session, const host::ComputedRun& run) {
  const host::Notice notice = notices(arguments);
  const ModelInfo& info = run.loaded.model->info();
  notice("model " + info.name + ": " + info.class_name + ", " + std::to_string(info.parameters) + " parameters, " +
         info.weights_format + ", loaded in " + seconds_text(run.load_seconds) + " by plugin " + run.loaded.plugin);
  notice("attributed in " + seconds_text(run.attribution_seconds));
  if (!arguments.on("very-verbose")) return;
  for (const auto& folder : session.catalogue.search_path()) notice("plugins searched in " + folder.string());
  for (const auto& file : host::architecture_files()) notice("architecture " + file.string());
}

int run(const Arguments& arguments) {
  expect_positional(arguments, 0, 0, "");
  set_threads(arguments, 0);
  const Session session(arguments);
  const host::Experiment experiment = experiment_from_options(arguments, session.catalogue);
  if (arguments.on("plan")) {
    ConsoleListener listener(arguments);
    const host::RunPlan plan = host::plan_run(session.host, experiment, listener.listener());
    print(arguments.on("json") ? plan_json(plan).dump(2) + "\n" : plan_text(plan));
    return 0;
  }
  const Canvas canvas = output_canvas(arguments);
  const auto save_path = arguments.path("save-path");
  if (save_path) host::check_writable(*save_path);
  const auto viz = viz_file(arguments);
  host::ComputedRun computed;
  {
    ConsoleListener listener(arguments);
    computed = host::compute(session.host, experiment, listener.listener());
  }
  if (arguments.on("stats")) std::fputs(stats_text(computed.outputs, &computed.loaded.model->info()).c_str(), stderr);
  if (arguments.on("verbose") || arguments.on("very-verbose")) say_cost(arguments, session, computed);

  const host::NamedOutput& result = computed.outputs.front();
  const AttributionOutput shown =
      host::aggregated(session.host, result.output, result.spec.aggregation, host::read_other_result);
  // A chain that was asked for shapes what is saved, too; the default one only what is shown.
  const AttributionOutput& saved = result.spec.aggregation ? shown : result.output;
  if (result.spec.aggregation)
    for (const SequenceAttribution& sequence : shown.sequences)
      if (!sequence.granularity.empty())
        throw ConfigError("--attribution-aggregators: the result still has the dimension '" +
                          sequence.granularity.back() + "'; name one more aggregator for each dimension that is left");
  if (save_path) {
    host::write_file(*save_path, to_result_json(saved));
    notices(arguments)("saved attributions to " + *save_path);
  }
  if (viz) {
    host::write_file(viz->path,
                     host::render(session.host, {viz->renderer, ""}, result, Canvas{}, host::read_other_result));
    notices(arguments)("wrote " + viz->path);
  }
  if (arguments.on("json"))
    print(to_result_json(saved) + "\n");
  else if (!arguments.on("hide-attributions"))
    print(session.host.make_renderer({"terminal", {}, {}})->render(shown, canvas));
  return 0;
}

}  // namespace

Command attribute_command() {
  return {"attribute",
          "-m MODEL -i TEXT... [options]",
          "Explain texts given on the command line",
          "Loads a model, continues the prompts unless --generated-texts says how they go on, explains every generated "
          "token and shows a "
          "heatmap. Options may be written with dashes or underscores and shortened to any unambiguous beginning.",
          attribute_options(),
          run,
          /*computes=*/true};
}

}  // namespace whence::cli
