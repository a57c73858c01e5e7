#include "host/side_by_side.h"

#include <algorithm>
#include <set>

#include "host/run_directory.h"
#include "host/run_manifest.h"
#include "host/yaml.h"
#include "whence/result_json.h"

namespace whence::host {
namespace {

namespace fs = std::filesystem;

NamedOutput read_result(const AttributionSpec& spec, const fs::path& file) {
  return {spec, from_result_json(read_file(file), file.string())};
}

std::vector<NamedOutput> read_run(const fs::path& folder) {
  std::error_code unreadable;
  if (!fs::exists(folder / kExperimentFile, unreadable))
    throw InputError(folder.string() + ": is no run directory; expected one that 'whence run' made, with " +
                     kExperimentFile + ", or a result file");
  const Experiment experiment = parse_experiment(load_yaml(folder / kExperimentFile), folder);
  if (experiment.context)
    throw InputError(folder.string() +
                     ": holds context attributions; expected a run with 'attributions', which have a "
                     "score for every token and step");
  std::vector<NamedOutput> results;
  for (const AttributionSpec& spec : experiment.attributions)
    results.push_back(read_result(spec, folder / result_file(spec.name)));
  return results;
}

std::string shown(const std::vector<Token>& tokens, std::int64_t position) {
  if (position >= std::ssize(tokens)) return "nothing";
  const Token& token = tokens[static_cast<std::size_t>(position)];
  return "'" + token.text + "' (id " + std::to_string(token.id) + ")";
}

/// What differs between two texts; empty: nothing.
std::string difference(const SequenceAttribution& first, const SequenceAttribution& other) {
  const auto of_tokens = [](const char* side, const std::vector<Token>& ours, const std::vector<Token>& theirs) {
    const auto place = std::mismatch(ours.begin(), ours.end(), theirs.begin(), theirs.end()).first - ours.begin();
    if (place == std::ssize(ours) && ours.size() == theirs.size()) return std::string();
    return std::string(side) + " token " + std::to_string(place) + " is " + shown(theirs, place) + ", expected " +
           shown(ours, place);
  };
  const auto range = [](const Span& steps) {
    return "[" + std::to_string(steps.start) + ", " + std::to_string(steps.end) + ")";
  };
  // The source of a decoder-only text repeats its beginning, as far as its steps say.
  if (std::string text = of_tokens("target", first.target, other.target); !text.empty()) return text;
  if (first.steps != other.steps)
    return "positions " + range(other.steps) + " are explained, expected " + range(first.steps);
  return of_tokens("source", first.source, other.source);
}

}  // namespace

std::vector<NamedOutput> read_results(const std::vector<std::string>& paths) {
  std::vector<NamedOutput> results;
  std::vector<std::string> places;
  for (const std::string& path : paths) {
    std::error_code unreadable;
    std::vector<NamedOutput> own;
    if (fs::is_directory(path, unreadable)) {
      own = read_run(path);
    } else {
      AttributionSpec spec;
      spec.name = fs::path(path).stem().string();
      own.push_back(read_result(spec, path));
    }
    for (NamedOutput& result : own) {
      places.push_back(fs::is_directory(path, unreadable) ? (fs::path(path) / result.spec.name).string() : path);
      results.push_back(std::move(result));
    }
  }
  std::map<std::string, int> times;
  for (const NamedOutput& result : results) ++times[result.spec.name];
  for (std::size_t i = 0; i < results.size(); ++i)
    if (times[results[i].spec.name] > 1) results[i].spec.name = places[i];
  std::set<std::string> names;
  for (const NamedOutput& result : results)
    if (!names.insert(result.spec.name).second)
      throw ConfigError("'" + result.spec.name + "' is given twice; name each result once");
  return results;
}

std::vector<NamedOutput> token_level(const PluginHost& host, const std::vector<NamedOutput>& results,
                                     const std::optional<std::vector<Choice>>& chain) {
  std::vector<NamedOutput> reduced;
  for (const NamedOutput& result : results) {
    reduced.push_back(
        {result.spec, aggregated(host, result.output, chain ? chain : result.spec.aggregation, find_among(results))});
    for (const SequenceAttribution& sequence : reduced.back().output.sequences)
      if (!sequence.granularity.empty())
        throw ConfigError("attribution '" + result.spec.name + "': still has the dimension '" +
                          sequence.granularity.back() +
                          "', expected one number for each token and step; choose aggregators that reduce it");
  }
  return reduced;
}

void require_same_steps(const std::vector<NamedOutput>& results) {
  for (const NamedOutput& result : results) {
    const auto &first = results.front().output.sequences, &own = result.output.sequences;
    const std::string before = "'" + result.spec.name + "' and '" + results.front().spec.name +
                               "' do not explain the same steps: ",
                      after = "; attribute the same texts, for instance in one experiment";
    for (std::size_t i = 0; i < std::min(first.size(), own.size()); ++i)
      if (const std::string text = difference(first[i], own[i]); !text.empty())
        throw InputError(before + "text " + std::to_string(i) + ", " + text + after);
    if (first.size() != own.size())
      throw InputError(before + std::to_string(own.size()) + " texts, expected " + std::to_string(first.size()) +
                       after);
  }
}

}  // namespace whence::host
