#include <cmath>

#include "whence/measure_steps.h"
#include "whence/plugin.h"

namespace {

using whence::Evaluation;
using whence::Measure;
using whence::MeasuredStep;

/// mean over random ablations of (sum of the attributions of the removed units - drop of the score)^2
class Infidelity final : public whence::Metric {
 public:
  explicit Infidelity(const whence::Params& params)
      : ablations_(params.get<std::int64_t>("ablations")), keep_(params.get<double>("keep_prob")) {}

  std::vector<Measure> measure(const Evaluation& evaluation) const override {
    const auto coalitions = whence::random_coalitions(evaluation, ablations_, keep_);
    const std::vector<MeasuredStep> steps = whence::measured_steps(evaluation);
    std::vector<whence::AblationQuestion> questions;  // of every step: the whole text, and each ablation
    for (const MeasuredStep& at : steps) {
      const auto& own = coalitions[static_cast<std::size_t>(at.sequence)];
      questions.push_back({at.sequence, at.step, whence::Coalition(own.front().size(), true)});
      for (const whence::Coalition& coalition : own) questions.push_back({at.sequence, at.step, coalition});
    }
    const std::vector<double> scores = evaluation.ablations.scores(questions, whence::ScoreScale::score);
    Measure plain = whence::empty_measure(evaluation, "infidelity", false),
            scaled = whence::empty_measure(evaluation, "infidelity_scaled", false);
    const double* score = scores.data();
    for (const MeasuredStep& at : steps) {
      const std::vector<double> weights = whence::scores_at(evaluation, at);
      const double whole = *score++;
      double predicted_squares = 0, drop_squares = 0, products = 0;
      for (const whence::Coalition& coalition : coalitions[static_cast<std::size_t>(at.sequence)]) {
        double predicted = 0;
        for (std::size_t i = 0; i < weights.size(); ++i) predicted += coalition[i] ? 0 : weights[i];
        const double drop = whole - *score++;
        predicted_squares += predicted * predicted / static_cast<double>(ablations_);
        drop_squares += drop * drop / static_cast<double>(ablations_);
        products += predicted * drop / static_cast<double>(ablations_);
      }
      const auto error = [&](double scale) {
        return std::max(0.0, scale * scale * predicted_squares - 2 * scale * products + drop_squares);
      };
      if (evaluation.attributions[static_cast<std::size_t>(at.attribution)].explains_score)
        value_at(plain, at) = error(1);
      value_at(scaled, at) = error(predicted_squares > 0 ? products / predicted_squares : 0);
    }
    return {std::move(plain), std::move(scaled)};
  }

 private:
  std::int64_t ablations_;
  double keep_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_metric("infidelity", [](const whence::Params& params) { return std::make_unique<Infidelity>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
