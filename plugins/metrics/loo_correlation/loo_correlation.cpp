#include "whence/measure_steps.h"
#include "whence/plugin.h"
#include "whence/rank_correlation.h"

namespace {

using whence::Evaluation;
using whence::Measure;
using whence::MeasuredStep;

/// Rank correlation over units of a_it with f_t(X) - f_t(X without unit i).
class LooCorrelation final : public whence::Metric {
 public:
  explicit LooCorrelation(const whence::Params& params)
      : kendall_(params.get<std::string>("coefficient") == "kendall") {}

  std::vector<Measure> measure(const Evaluation& evaluation) const override {
    const std::vector<MeasuredStep> steps = whence::measured_steps(evaluation);
    std::vector<whence::AblationQuestion> questions;
    for (const MeasuredStep& at : steps)
      for (std::int64_t i = 0; i < evaluation.ablations.seen(at.sequence, at.step); ++i) {
        whence::Coalition others(evaluation.ablations.units(at.sequence).size(), true);
        others[static_cast<std::size_t>(i)] = false;
        questions.push_back({at.sequence, at.step, std::move(others)});
      }
    std::vector<double> drops = evaluation.ablations.scores(std::move(questions), whence::ScoreScale::score);
    for (double& score : drops) score = -score;  // the score of the whole text changes no rank
    Measure measure = whence::empty_measure(evaluation, "loo_correlation", true);
    const double* exact = drops.data();
    for (const MeasuredStep& at : steps) {
      const std::vector<double> own = whence::scores_at(evaluation, at);
      value_at(measure, at) = (kendall_ ? whence::kendall_tau_b : whence::spearman)(own, {exact, own.size()});
      exact += own.size();
    }
    return {std::move(measure)};
  }

 private:
  bool kendall_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_metric("loo_correlation",
                       [](const whence::Params& params) { return std::make_unique<LooCorrelation>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
