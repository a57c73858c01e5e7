#pragma once

#include <optional>
#include <vector>

#include "whence/coalition_game.h"

namespace whence {

/// What is read off a step when units are removed.
enum class ScoreScale {
  score,            ///< the score that is evaluated
  probability,      ///< of the explained token
  log_probability,  ///< its natural logarithm
};

/// Which units of a text are there, and the step that is asked about. Units that the step cannot see are passed over.
struct AblationQuestion {
  std::int64_t sequence = 0, step = 0;
  Coalition present;  ///< of all units
};

/// Scores of the steps of a problem when units of its texts are removed in one way. Questions share passes, and what is
/// known is not computed again, so that metrics which remove the same cost nothing more. [thread: one]
class WHENCE_API AblationScores {
 public:
  /// All outlive it. `scores` is null where the score itself is the probability or its logarithm, as `score_is` says;
  /// otherwise it holds the same texts as `log_probabilities`, whose score is the log-probability.
  AblationScores(const Problem& log_probabilities, const Problem* scores, ScoreScale score_is, const UnitChoice& units,
                 const RemovalChoice& removal);

  /// The problem whose score is the log-probability of the explained tokens.
  const Problem& problem() const { return log_probabilities_.problem(); }
  std::int64_t texts() const { return log_probabilities_.games(); }
  std::int64_t steps(std::int64_t sequence) const;
  const std::vector<RemovableUnit>& units(std::int64_t sequence) const { return log_probabilities_.units(sequence); }
  /// How many units a step sees: the first so many.
  std::int64_t seen(std::int64_t sequence, std::int64_t step) const;

  /// One number for each question.
  std::vector<double> scores(std::vector<AblationQuestion> questions, ScoreScale scale);

 private:
  CoalitionGame log_probabilities_;
  std::optional<CoalitionGame> scores_;
  ScoreScale score_is_;
  std::vector<std::vector<std::int64_t>> seen_;  ///< of each text and step
};

}  // namespace whence
