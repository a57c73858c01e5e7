#include <cmath>

#include "base_options.h"
#include "command.h"
#include "console.h"
#include "cost_report.h"
#include "host/agreement.h"
#include "host/side_by_side.h"
#include "json_value.h"
#include "session.h"
#include "text_table.h"

namespace whence::cli {
namespace {

using Json = nlohmann::ordered_json;

/// JSON has no NaN.
Json mean_json(const host::StepMean& mean) {
  return {{"mean", mean.steps > 0 ? Json(mean.mean) : Json()}, {"steps", mean.steps}};
}

std::string as_json(const std::vector<host::NamedOutput>& results, const std::vector<host::Agreement>& pairs,
                    std::int64_t steps, const host::AgreementOptions& options) {
  Json list = Json::array();
  for (const host::Agreement& pair : pairs)
    list.push_back({{"first", pair.first},
                    {"second", pair.second},
                    {"spearman", mean_json(pair.spearman)},
                    {"kendall_tau_b", mean_json(pair.kendall)},
                    {"pearson", mean_json(pair.pearson)},
                    {"cosine", mean_json(pair.cosine)},
                    {"top_overlap", mean_json(pair.overlap)}});
  return Json{{"texts", results.front().output.sequences.size()},
              {"steps", steps},
              {"top", options.top},
              {"magnitude", options.magnitude},
              {"agreement", list},
              {"cost", stats_json(results, nullptr).at("attributions")}}
             .dump(2) +
         "\n";
}

std::string as_text(const std::vector<host::NamedOutput>& results, const std::vector<host::Agreement>& pairs,
                    std::int64_t steps, const host::AgreementOptions& options) {
  std::vector<std::vector<std::string>> rows{
      {"agreement", "Spearman", "Kendall", "Pearson", "cosine", "top " + std::to_string(options.top)}};
  bool some_missing = false;
  for (const host::Agreement& pair : pairs) {
    rows.push_back({pair.first + ", " + pair.second});
    for (const host::StepMean* mean : {&pair.spearman, &pair.kendall, &pair.pearson, &pair.cosine, &pair.overlap}) {
      std::string cell = mean->steps > 0 ? fixed(mean->mean, 3) : "-";
      if (mean->steps != steps) cell += " (" + std::to_string(mean->steps) + ")";
      some_missing = some_missing || mean->steps != steps;
      rows.back().push_back(cell);
    }
  }
  std::string text = "means over " + std::to_string(steps) + " steps of " +
                     std::to_string(results.front().output.sequences.size()) + " texts" +
                     (options.magnitude ? ", of absolute values\n" : "\n") + text_table(rows);
  if (some_missing) text += "(n): only so many steps say something: elsewhere a method is constant, or zero\n";
  const std::string cost = stats_text(results, nullptr);
  return text + (cost.empty() ? "" : "\ncost\n" + cost);
}

int run(const Arguments& arguments) {
  expect_positional(arguments, 1, SIZE_MAX, "at least one result file or run directory");
  host::AgreementOptions options;
  options.top = arguments.integer("top").value_or(options.top);
  if (options.top < 1) throw ConfigError("--top: " + std::to_string(options.top) + " tokens; expected at least 1");
  options.magnitude = arguments.on("magnitude");
  const Session session(arguments);
  const std::vector<host::NamedOutput> stored = host::read_results(arguments.positional());
  if (stored.size() < 2)
    throw ConfigError("'" + stored.front().spec.name +
                      "' is the only attribution; expected two or more, in files or in the folder of a run");
  const std::vector<host::NamedOutput> results =
      host::token_level(session.host, stored, chain_from_option(arguments, "aggregators"));
  host::require_same_steps(results);
  std::int64_t steps = 0;
  for (const SequenceAttribution& sequence : results.front().output.sequences) steps += sequence.steps.size();
  const std::vector<host::Agreement> pairs = host::agreements(results, options);
  print(arguments.on("json") ? as_json(stored, pairs, steps, options) : as_text(stored, pairs, steps, options));
  return 0;
}

}  // namespace

Command compare_command() {
  using enum OptionKind;
  return {"compare",
          "RESULT... [options]",
          "Compare methods that explain the same steps",
          "Each RESULT is a result file, or the folder of a run, which stands for all of its attributions. Shows how "
          "far every two of them "
          "agree in every step, averaged over steps (docs/evaluation.md), and what each cost.",
          {{"top", value, {"-k"}, "N", "tokens of highest score whose overlap is shown; default: 5"},
           {"magnitude", flag, {}, "", "compare absolute values"},
           {"aggregators",
            list,
            {},
            "NAME",
            "chain that makes all results token-level; default: that of the run, or of their dimensions"}},
          run};
}

}  // namespace whence::cli
