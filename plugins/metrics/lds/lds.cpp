#include "whence/measure_steps.h"
#include "whence/plugin.h"
#include "whence/rank_correlation.h"

namespace {

using whence::Evaluation;
using whence::Measure;
using whence::MeasuredStep;

/// Spearman correlation, over random ablations S, of sum_{i in S} a_it with f_t(S).
class LinearDatamodellingScore final : public whence::Metric {
 public:
  explicit LinearDatamodellingScore(const whence::Params& params)
      : ablations_(params.get<std::int64_t>("ablations")), keep_(params.get<double>("keep_prob")) {}

  std::vector<Measure> measure(const Evaluation& evaluation) const override {
    const auto coalitions = whence::random_coalitions(evaluation, ablations_, keep_);
    const std::vector<MeasuredStep> steps = whence::measured_steps(evaluation);
    std::vector<whence::AblationQuestion> questions;
    for (const MeasuredStep& at : steps)
      for (const whence::Coalition& coalition : coalitions[static_cast<std::size_t>(at.sequence)])
        questions.push_back({at.sequence, at.step, coalition});
    const std::vector<double> scores = evaluation.ablations.scores(questions, whence::ScoreScale::score);
    Measure measure = whence::empty_measure(evaluation, "lds", true);
    const double* actual = scores.data();
    for (const MeasuredStep& at : steps) {
      const std::vector<double> weights = whence::scores_at(evaluation, at);
      std::vector<double> predicted;
      for (const whence::Coalition& coalition : coalitions[static_cast<std::size_t>(at.sequence)]) {
        predicted.push_back(0);
        for (std::size_t i = 0; i < weights.size(); ++i) predicted.back() += coalition[i] ? weights[i] : 0;
      }
      value_at(measure, at) = whence::spearman(predicted, {actual, predicted.size()});
      actual += predicted.size();
    }
    return {std::move(measure)};
  }

 private:
  std::int64_t ablations_;
  double keep_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_metric("lds",
                       [](const whence::Params& params) { return std::make_unique<LinearDatamodellingScore>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
