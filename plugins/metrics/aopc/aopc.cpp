#include <algorithm>
#include <cmath>

#include "whence/error.h"
#include "whence/measure_steps.h"
#include "whence/plugin.h"

namespace {

using whence::AblationQuestion;
using whence::Evaluation;
using whence::Measure;
using whence::MeasuredStep;
using whence::ScoreScale;

/// mean over ratios r of f_t(X) - f_t(X without the first k_r units), or with these alone.
class Aopc final : public whence::Metric {
 public:
  explicit Aopc(const whence::Params& params)
      : comprehensiveness_(params.get<std::string>("measure") == "comprehensiveness"),
        ratios_(params.get<std::vector<double>>("ratios")),
        scales_(whence::scales_from(params)) {
    if (ratios_.empty()) throw whence::ConfigError("ratios: names none; expected numbers between 0 and 1");
  }

  std::vector<Measure> measure(const Evaluation& evaluation) const override {
    const std::vector<MeasuredStep> steps = whence::measured_steps(evaluation);
    std::vector<AblationQuestion> questions;  // of every step: the whole text, and each ratio
    for (const MeasuredStep& at : steps) {
      const std::vector<std::int64_t> order = whence::ranking(evaluation, at);
      questions.push_back({at.sequence, at.step, whence::without_first(evaluation, at, order, 0)});
      for (const double ratio : ratios_) {
        const auto count =
            std::clamp<std::int64_t>(std::llround(ratio * static_cast<double>(order.size())), 1, std::ssize(order));
        questions.push_back({at.sequence, at.step,
                             comprehensiveness_ ? whence::without_first(evaluation, at, order, count)
                                                : whence::only_first(evaluation, at, order, count)});
      }
    }
    std::vector<Measure> measures;
    for (const ScoreScale scale : scales_) {
      Measure measure = whence::empty_measure(
          evaluation, whence::name_on(comprehensiveness_ ? "comprehensiveness" : "sufficiency", scale),
          comprehensiveness_);
      const std::vector<double> scores = evaluation.ablations.scores(questions, scale);
      auto score = scores.begin();
      for (const MeasuredStep& at : steps) {
        const double whole = *score++;
        double sum = 0;
        for (std::size_t i = 0; i < ratios_.size(); ++i) sum += whole - *score++;
        value_at(measure, at) = sum / static_cast<double>(ratios_.size());
      }
      measures.push_back(std::move(measure));
    }
    return measures;
  }

 private:
  bool comprehensiveness_;
  std::vector<double> ratios_;
  std::vector<ScoreScale> scales_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_metric("aopc", [](const whence::Params& params) { return std::make_unique<Aopc>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
