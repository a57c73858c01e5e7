#include <algorithm>
#include <cmath>

#include "noisy_model.h"
#include "whence/error.h"
#include "whence/measure_steps.h"
#include "whence/plugin.h"

namespace {

using whence::Evaluation;
using whence::Measure;
using whence::MeasuredStep;

/// max over small changes of the embeddings of |a' - a| / |a|
class Sensitivity final : public whence::Metric {
 public:
  explicit Sensitivity(const whence::Params& params)
      : samples_(params.get<std::int64_t>("samples")), radius_(params.get<double>("radius")) {}

  std::vector<Measure> measure(const Evaluation& evaluation) const override {
    Measure measure = whence::empty_measure(evaluation, "sensitivity", false);
    const std::vector<MeasuredStep> steps = whence::measured_steps(evaluation);
    for (std::int64_t a = 0; a < std::ssize(evaluation.attributions); ++a) {
      const whence::UnitScores& attribution = evaluation.attributions[static_cast<std::size_t>(a)];
      if (!attribution.again) continue;
      std::vector<MeasuredStep> own;
      std::copy_if(steps.begin(), steps.end(), std::back_inserter(own),
                   [&](const MeasuredStep& at) { return at.attribution == a; });
      try {
        for (std::int64_t sample = 0; sample < samples_; ++sample) raise(evaluation, own, sample, measure);
      } catch (const whence::ModelError& error) {
        for (const MeasuredStep& at : own) value_at(measure, at) = NAN;
        measure.notes.push_back("'" + attribution.name + "' cannot be made with other embeddings: " + error.what());
      }
    }
    return {std::move(measure)};
  }

 private:
  /// Takes one more change of the embeddings into the maximum.
  void raise(const Evaluation& evaluation, const std::vector<MeasuredStep>& steps, std::int64_t sample,
             Measure& measure) const {
    if (steps.empty()) return;
    const whence::UnitScores& attribution =
        evaluation.attributions[static_cast<std::size_t>(steps.front().attribution)];
    const whence::Model& model = evaluation.ablations.problem().model();
    const NoisyModel noisy(model, radius_, evaluation.seed, static_cast<std::uint64_t>(sample));
    const std::vector<whence::UnitScores> again{{attribution.name, attribution.again(noisy)}};
    const Evaluation changed{evaluation.ablations, again, evaluation.seed};
    for (const MeasuredStep& at : steps) {
      const std::vector<double> before = whence::scores_at(evaluation, at),
                                after = whence::scores_at(changed, {0, at.sequence, at.step});
      double squares = 0, changes = 0;
      for (std::size_t i = 0; i < before.size(); ++i) {
        squares += before[i] * before[i];
        changes += (after[i] - before[i]) * (after[i] - before[i]);
      }
      if (squares == 0) continue;
      double& largest = value_at(measure, at);
      largest = std::fmax(largest, std::sqrt(changes / squares));  // of NaN and a number the number
    }
  }

  std::int64_t samples_;
  double radius_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_metric("sensitivity",
                       [](const whence::Params& params) { return std::make_unique<Sensitivity>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
