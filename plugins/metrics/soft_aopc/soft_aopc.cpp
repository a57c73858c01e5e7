#include <ATen/ops/ones.h>

#include <algorithm>
#include <cmath>

#include "whence/measure_steps.h"
#include "whence/plugin.h"

namespace {

using whence::Evaluation;
using whence::Measure;
using whence::MeasuredStep;
using whence::ScoreScale;
using whence::Side;
using whence::Tensor;

/// Shares min(1, c a_i) of scores a_i >= 0 whose mean is `mean`. Where scores are zero, what is left is shared evenly.
std::vector<double> shares_of(std::vector<double> scores, double mean) {
  for (double& score : scores) score = std::max(0.0, score);
  const auto count = static_cast<double>(scores.size());
  std::vector<std::size_t> order(scores.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](auto a, auto b) { return scores[a] > scores[b]; });
  double left = mean * count, sum = 0;
  for (const double score : scores) sum += score;
  std::vector<double> shares(scores.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    const double score = scores[order[i]];
    const double share = sum > 0 && score > 0 ? left * score / sum : left / static_cast<double>(order.size() - i);
    shares[order[i]] = std::min(1.0, share);
    left -= shares[order[i]];
    sum = std::max(0.0, sum - score);
  }
  return shares;
}

/// Drop of the score when every embedding keeps a share of itself by its attribution, or loses one.
class SoftAopc final : public whence::Metric {
 public:
  explicit SoftAopc(const whence::Params& params)
      : comprehensiveness_(params.get<std::string>("measure") == "comprehensiveness"),
        mass_(params.get<double>("mass")),
        samples_(params.get<std::int64_t>("samples")),
        to_baseline_(params.get<std::string>("towards") == "baseline"),
        scales_(whence::scales_from(params)) {}

  std::vector<Measure> measure(const Evaluation& evaluation) const override {
    const std::vector<MeasuredStep> steps = whence::measured_steps(evaluation);
    const whence::Problem& problem = evaluation.ablations.problem();
    const std::int64_t draws = std::max<std::int64_t>(1, samples_), most = problem.steps();
    // A point of the batch is an attribution, a step and a draw; texts without that step stay as they are.
    const auto rows = [&](const whence::PointPlace& place) {
      const std::int64_t step = place.point / draws % most;
      return changed_rows(evaluation, {place.point / draws / most, place.sequence, step}, place.side,
                          step * draws + place.point % draws);
    };
    const Tensor scores =
        problem.scores(whence::Points{.count = std::ssize(evaluation.attributions) * most * draws, .rows = rows})
            .to(at::kDouble)
            .view({std::ssize(evaluation.attributions), most, draws, problem.batch_size(), most});
    const Tensor whole = problem.scores().to(at::kDouble);
    std::vector<Measure> measures;
    for (const ScoreScale scale : scales_) {
      Measure measure = whence::empty_measure(
          evaluation, whence::name_on(comprehensiveness_ ? "soft_comprehensiveness" : "soft_sufficiency", scale),
          comprehensiveness_);
      const auto scaled = [&](const Tensor& logarithms) {
        return scale == ScoreScale::probability ? logarithms.exp() : logarithms;
      };
      for (const MeasuredStep& at : steps)
        measure.values[at.attribution][at.sequence][at.step] =
            scaled(whole[at.sequence][at.step]) -
            scaled(scores[at.attribution][at.step].select(1, at.sequence).select(1, at.step)).mean();
      measures.push_back(std::move(measure));
    }
    return measures;
  }

 private:
  Tensor changed_rows(const Evaluation& evaluation, const MeasuredStep& at, Side side, std::int64_t sample) const {
    const whence::Problem& problem = evaluation.ablations.problem();
    const Tensor own = problem.embeddings(side)[at.sequence];
    if (at.step >= evaluation.ablations.steps(at.sequence)) return own;
    const std::vector<double> shares = shares_of(whence::scores_at(evaluation, at), mass_);
    Tensor kept = at::ones({own.size(0), 1});
    const auto& units = evaluation.ablations.units(at.sequence);
    for (std::size_t i = 0; i < shares.size(); ++i)
      if (units[i].side == side)
        kept.slice(0, units[i].span.start, units[i].span.end).fill_(comprehensiveness_ ? 1 - shares[i] : shares[i]);
    if (samples_ > 0)
      kept = problem.random(at.sequence, side == Side::source ? "soft source rows" : "soft target rows", sample)
                 .uniform(own.sizes())
                 .lt(kept)
                 .to(at::kFloat);
    return to_baseline_ ? own * kept + problem.baseline_embeddings(side)[at.sequence] * (1 - kept) : own * kept;
  }

  bool comprehensiveness_;
  double mass_;
  std::int64_t samples_;
  bool to_baseline_;
  std::vector<ScoreScale> scales_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_metric("soft_aopc", [](const whence::Params& params) { return std::make_unique<SoftAopc>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
