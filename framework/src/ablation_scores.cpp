#include "whence/ablation_scores.h"

#include <cmath>
#include <stdexcept>

namespace whence {

AblationScores::AblationScores(const Problem& log_probabilities, const Problem* scores, ScoreScale score_is,
                               const UnitChoice& units, const RemovalChoice& removal)
    : log_probabilities_(log_probabilities, units, removal), score_is_(score_is) {
  if ((scores != nullptr) != (score_is == ScoreScale::score))
    throw std::logic_error("expected a problem of the score where it is no probability, and only there");
  if (scores) scores_.emplace(*scores, units, removal);
  for (std::int64_t b = 0; b < texts(); ++b) {
    seen_.emplace_back();
    for (const auto& [players, span] : log_probabilities_.audiences(b))
      seen_.back().insert(seen_.back().end(), static_cast<std::size_t>(span.size()), players);
  }
}

std::int64_t AblationScores::steps(std::int64_t sequence) const {
  return std::ssize(seen_[static_cast<std::size_t>(sequence)]);
}

std::int64_t AblationScores::seen(std::int64_t sequence, std::int64_t step) const {
  return seen_[static_cast<std::size_t>(sequence)][static_cast<std::size_t>(step)];
}

std::vector<double> AblationScores::scores(std::vector<AblationQuestion> questions, ScoreScale scale) {
  if (scale == ScoreScale::score) scale = score_is_;
  CoalitionGame& game = scale == ScoreScale::score ? *scores_ : log_probabilities_;
  std::vector<std::vector<Coalition>> asked(static_cast<std::size_t>(texts()));
  std::vector<std::int64_t> places;
  for (AblationQuestion& question : questions) {
    auto& of_text = asked[static_cast<std::size_t>(question.sequence)];
    std::fill(question.present.begin() + seen(question.sequence, question.step), question.present.end(), true);
    places.push_back(std::ssize(of_text));
    of_text.push_back(std::move(question.present));
  }
  const std::vector<Tensor> worth = game.worth(asked);
  std::vector<double> answers;
  for (std::size_t i = 0; i < questions.size(); ++i) {
    const Tensor& own = worth[static_cast<std::size_t>(questions[i].sequence)];
    const double answer = own.const_data_ptr<double>()[places[i] * own.stride(0) + questions[i].step * own.stride(1)];
    answers.push_back(scale == ScoreScale::probability ? std::exp(answer) : answer);
  }
  return answers;
}

}  // namespace whence
