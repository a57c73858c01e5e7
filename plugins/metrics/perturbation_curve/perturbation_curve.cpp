#include <cmath>

#include "whence/measure_steps.h"
#include "whence/plugin.h"

namespace {

using whence::AblationQuestion;
using whence::Evaluation;
using whence::Measure;
using whence::MeasuredStep;
using whence::ScoreScale;

/// Areas under the scores while units are removed or added one after another, over the share of units.
class PerturbationCurve final : public whence::Metric {
 public:
  explicit PerturbationCurve(const whence::Params& params)
      : points_(params.get<std::int64_t>("points")), scales_(whence::scales_from(params)) {}

  std::vector<Measure> measure(const Evaluation& evaluation) const override {
    const std::vector<MeasuredStep> steps = whence::measured_steps(evaluation);
    std::vector<AblationQuestion> questions;  // of every step: its points, deletion and insertion in turn
    for (const MeasuredStep& at : steps) {
      const std::vector<std::int64_t> order = whence::ranking(evaluation, at);
      for (const std::int64_t count : counts(std::ssize(order))) {
        questions.push_back({at.sequence, at.step, whence::without_first(evaluation, at, order, count)});
        questions.push_back({at.sequence, at.step, whence::only_first(evaluation, at, order, count)});
      }
    }
    std::vector<Measure> measures;
    for (const ScoreScale scale : scales_) {
      const auto named = [&](const char* name, bool higher_is_better) {
        return whence::empty_measure(evaluation, whence::name_on(name, scale), higher_is_better);
      };
      Measure deletion = named("deletion_auc", false), insertion = named("insertion_auc", true),
              between = named("abpc", true);
      const std::vector<double> scores = evaluation.ablations.scores(questions, scale);
      std::size_t first = 0;
      for (const MeasuredStep& at : steps) {
        const std::int64_t units = evaluation.ablations.seen(at.sequence, at.step);
        const std::vector<std::int64_t> shares = counts(units);
        double areas[2] = {0, 0};
        for (std::size_t i = 1; i < shares.size(); ++i)
          for (std::size_t curve = 0; curve < 2; ++curve)
            areas[curve] += (scores[first + 2 * i + curve] + scores[first + 2 * (i - 1) + curve]) / 2 *
                            static_cast<double>(shares[i] - shares[i - 1]) / static_cast<double>(units);
        first += 2 * shares.size();
        value_at(deletion, at) = areas[0];
        value_at(insertion, at) = areas[1];
        value_at(between, at) = areas[1] - areas[0];
      }
      for (Measure* measure : {&deletion, &insertion, &between}) measures.push_back(std::move(*measure));
    }
    return measures;
  }

 private:
  /// How many units are removed at each point of a curve, ascending from none to all.
  std::vector<std::int64_t> counts(std::int64_t units) const {
    const std::int64_t intervals = points_ == 0 ? units : std::min(points_, units);
    std::vector<std::int64_t> result;
    for (std::int64_t i = 0; i <= intervals; ++i) result.push_back((2 * i * units + intervals) / (2 * intervals));
    return result;
  }

  std::int64_t points_;
  std::vector<ScoreScale> scales_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_metric("perturbation_curve",
                       [](const whence::Params& params) { return std::make_unique<PerturbationCurve>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
