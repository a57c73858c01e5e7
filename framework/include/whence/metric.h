#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "whence/ablation_scores.h"
#include "whence/export.h"

namespace whence {

/// How much each unit of the texts counts for each step, as one attribution or baseline says.
struct UnitScores {
  std::string name;
  std::vector<Tensor> scores;  ///< of each text [units,T] (double); what a step cannot see means nothing
  /// Whether it explains the score that is evaluated, so that its sums can be held against differences of that.
  bool explains_score = false;
  /// The same attribution made again on another model; empty where it was not made by a method.
  std::function<std::vector<Tensor>(const Model&)> again;
};

/// A batch of texts with frozen target tokens, and what is to be evaluated on them.
struct Evaluation {
  AblationScores& ablations;
  const std::vector<UnitScores>& attributions;
  std::uint64_t seed = 0;  ///< of everything that is drawn at random
};

/// One number for each attribution, text and step.
struct Measure {
  std::string name;
  bool higher_is_better = true;
  Tensor values;                   ///< [A,B,T] (double); NaN where the measure says nothing, and beyond a text's own steps
  std::vector<std::string> notes;  ///< what a reader should know, a clause each
};

/// Measures how faithful attributions are to the model. Immutable after construction.
class WHENCE_API Metric {
 public:
  Metric() = default;
  Metric(const Metric&) = delete;
  Metric& operator=(const Metric&) = delete;
  virtual ~Metric();

  /// The number of a text and a step depends on these and the seed alone, not on the other texts of the batch. The
  /// names and directions are the same every time. Throws ConfigError for parameters that do not fit the score.
  /// [shape: see Measure] [grad: off] [thread: one per evaluation]
  virtual std::vector<Measure> measure(const Evaluation& evaluation) const = 0;

  /// Optional powers, looked up by "name/revision". Null: not offered. [thread: any]
  virtual const void* query(std::string_view capability) const;
};

}  // namespace whence
