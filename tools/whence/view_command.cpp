#include "base_options.h"
#include "command.h"
#include "console.h"
#include "host/context_rendering.h"
#include "host/run.h"
#include "host/run_directory.h"
#include "session.h"
#include "whence/context_json.h"
#include "whence/result_json.h"

namespace whence::cli {
namespace {

/// A run's folder is easily taken for its result.
void refuse_folder(const std::filesystem::path& path) {
  std::error_code unreadable;
  if (!std::filesystem::is_directory(path, unreadable)) return;
  std::vector<std::string> results;
  for (const auto& entry : std::filesystem::directory_iterator(path / "results", unreadable))
    if (entry.path().extension() == ".json") results.push_back(entry.path().string());
  std::sort(results.begin(), results.end());
  std::string text = path.string() + ": is a folder; expected a result file";
  for (const std::string& result : results) text += (&result == &results.front() ? ", for instance " : ", ") + result;
  throw InputError(text);
}

/// What a file holds, drawn by the chosen renderer.
std::string page_of(const std::string& file, const host::Choice& renderer, const Canvas& canvas,
                    const Arguments& arguments) {
  const std::string bytes = host::read_file(file);
  const Session session(arguments);
  if (is_context_json(bytes)) {
    if (arguments.has("aggregators"))
      throw ConfigError("--aggregators: " + file +
                        " is a context attribution, whose scores are aggregated already; leave it out");
    return host::render_context(session.host, {renderer, ""}, from_context_json(bytes, file), canvas);
  }
  host::NamedOutput result{{}, from_result_json(bytes, file)};
  result.spec.name = file;
  result.spec.aggregation = chain_from_option(arguments, "aggregators");
  return host::render(session.host, {renderer, ""}, result, canvas, host::read_other_result);
}

int run(const Arguments& arguments) {
  expect_positional(arguments, 1, 1, "the result file");
  const std::string& file = arguments.positional().front();
  refuse_folder(file);
  Canvas canvas = output_canvas(arguments);
  if (const auto width = arguments.integer("width")) {
    if (*width < 1 || *width > 100000)
      throw ConfigError("--width: " + std::to_string(*width) + " is not between 1 and 100000 columns");
    canvas.columns = static_cast<int>(*width);
  }
  const auto output = arguments.path("output");
  if (output) host::check_writable(*output);
  host::Choice renderer{arguments.on("json") ? "json" : "terminal", {}, {}};
  if (const auto text = arguments.text("renderer")) renderer = choice_from_option(*text, "--renderer", "renderer");
  const std::string page = page_of(file, renderer, canvas, arguments);
  if (output) {
    host::write_file(*output, page);
    notices(arguments)("wrote " + *output);
  } else {
    print(page);
  }
  return 0;
}

}  // namespace

Command view_command() {
  using enum OptionKind;
  return {
      "view",
      "FILE [options]",
      "Show a saved result",
      "FILE is a result of 'attribute', 'attribute-context' or 'run', or one that the reference toolkit saved, plain "
      "or "
      "gzipped.",
      {{"aggregators",
        list,
        {},
        "NAME",
        "chain that makes the result token-level; a NAME may bring parameters, as 'scores: {function: sum}'; default: "
        "that of its dimensions; none: as it is"},
       {"output", value, {"-o"}, "FILE", "write to this file; default: standard output"},
       {"renderer",
        value,
        {},
        "NAME",
        "how to show it: terminal, html, svg, json and others; may bring parameters, as 'svg: {max_rows: 20}'; "
        "default: terminal"},
       {"width", value, {}, "N", "columns to use; default: those of the terminal"}},
      run};
}

}  // namespace whence::cli
