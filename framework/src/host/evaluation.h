#pragma once

#include <string>
#include <vector>

#include "host/evaluation_spec.h"
#include "host/run.h"

namespace whence::host {

struct EvaluateOptions {
  std::int64_t batch_size = 8;
  bool eos_baseline = false;
  std::int64_t memory_bytes = 0;
  std::uint64_t seed = 0;  ///< with the ids of the texts it keys what is drawn at random
  Progress progress;       ///< measures taken, of all
};

/// A step of a text, as rows of results name it.
struct EvaluatedStep {
  std::string text;  ///< its id
  std::int64_t step = 0, position = 0;
  std::string token;
};

/// One measure under one removal.
struct EvaluatedMeasure {
  std::string removal;  ///< empty: nothing is removed
  std::string name;
  bool higher_is_better = true;
  Tensor values;  ///< [M,N] (double) of EvaluatedResults::names and steps; NaN where it says nothing
  Tensor draws;   ///< [random draws,N], whose mean is the row of the random baseline
};

struct EvaluatedResults {
  std::string score;               ///< what is evaluated, e.g. "probability"
  std::vector<std::string> names;  ///< the attributions, then the baselines: random, recency, primacy, uniform
  std::size_t random = 0;          ///< which of them is random
  std::vector<EvaluatedStep> steps;
  std::vector<EvaluatedMeasure> measures;
  std::vector<std::string> notes;  ///< what a reader should know, a clause each
  Work work;
  double seconds = 0;
};

/// Checks names and parameters without opening a library.
void check_evaluation(const Catalogue& catalogue, const EvaluationSpec& spec);

/// Evaluates stored results on the model that made them, with the tokens that they hold as frozen targets. `results`
/// are not aggregated; `ids` are those of their texts. Throws InputError for results that do not share their steps, or
/// whose tokens are not the model's; ConfigError for an aggregation that merges tokens.
EvaluatedResults evaluate(const PluginHost& host, const Model& model, std::vector<NamedOutput> results,
                          const std::vector<std::string>& ids, const EvaluationSpec& spec,
                          const EvaluateOptions& options = {});

}  // namespace whence::host
