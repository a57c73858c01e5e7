#include <cmath>
#include <numeric>

#include "whence/measure_steps.h"
#include "whence/plugin.h"

namespace {

using whence::Evaluation;
using whence::Measure;
using whence::MeasuredStep;

/// |sum_i a_it - (f_t(X) - f_t(nothing))|
class CompletenessGap final : public whence::Metric {
 public:
  explicit CompletenessGap(const whence::Params& params) : relative_(params.get<bool>("relative")) {}

  std::vector<Measure> measure(const Evaluation& evaluation) const override {
    const std::vector<MeasuredStep> steps = whence::measured_steps(evaluation);
    std::vector<whence::AblationQuestion> questions;  // of every step: all units and none
    for (const MeasuredStep& at : steps)
      for (const bool present : {true, false})
        questions.push_back(
            {at.sequence, at.step, whence::Coalition(evaluation.ablations.units(at.sequence).size(), present)});
    const std::vector<double> scores = evaluation.ablations.scores(questions, whence::ScoreScale::score);
    Measure measure =
        whence::empty_measure(evaluation, relative_ ? "relative_completeness_gap" : "completeness_gap", false);
    for (std::size_t i = 0; i < steps.size(); ++i) {
      const MeasuredStep& at = steps[i];
      if (!evaluation.attributions[static_cast<std::size_t>(at.attribution)].explains_score) continue;
      const std::vector<double> own = whence::scores_at(evaluation, at);
      const double difference = scores[2 * i] - scores[2 * i + 1];
      const double gap = std::abs(std::accumulate(own.begin(), own.end(), 0.0) - difference);
      if (relative_ && difference == 0) continue;
      value_at(measure, at) = relative_ ? gap / std::abs(difference) : gap;
    }
    return {std::move(measure)};
  }

 private:
  bool relative_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_metric("completeness_gap",
                       [](const whence::Params& params) { return std::make_unique<CompletenessGap>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
