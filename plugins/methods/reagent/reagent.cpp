#include <ATen/ops/empty.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "whence/error.h"
#include "whence/method.h"
#include "whence/open_ended.h"
#include "whence/plugin.h"

namespace {

using whence::Problem;
using whence::Side;
using whence::Tensor;

/// How many tokens are more likely than the explained one.
class Rank final : public whence::StepFunction {
 public:
  Tensor score(const whence::StepInputs& inputs) const override {
    const Tensor own = inputs.logits.gather(-1, inputs.target_ids.unsqueeze(-1));
    return (inputs.logits > own).sum(-1).to(at::kFloat);
  }
};

/// One probe of one step: what it holds of the tokens that the step sees.
struct Probe {
  std::int64_t sequence, step, number;
  std::int64_t source, target;  ///< tokens seen on each side; those of the source come first
  std::int64_t kept;            ///< tokens that must suffice
  Tensor logits;                ///< [seen] of importance
  bool stopped = false, done = false;

  std::int64_t seen() const { return source + target; }
};

class Reagent final : public whence::Method {
 public:
  explicit Reagent(const whence::Params& params)
      : keep_top_n_(params.get<std::int64_t>("keep_top_n")),
        keep_ratio_(params.get<double>("keep_ratio")),
        invert_keep_(params.get<bool>("invert_keep")),
        top_k_(params.get<std::int64_t>("stopping_condition_top_k")),
        replacing_ratio_(params.get<double>("replacing_ratio")),
        most_rounds_(params.get<std::int64_t>("max_probe_steps")),
        probes_(params.get<std::int64_t>("num_probes")) {}

  whence::Attribution attribute(const Problem& problem) const override {
    std::vector<Probe> probes = start(problem);
    for (std::int64_t round = 0; round < most_rounds_; ++round) {
      if (std::all_of(probes.begin(), probes.end(), [](const Probe& probe) { return probe.done; })) break;
      update(problem, round, probes);
      stop(problem, round, probes);
    }
    return average(problem, probes);
  }

  const void* query(std::string_view capability) const override {
    return capability == whence::kOpenEnded ? this : nullptr;
  }

 private:
  std::vector<Probe> start(const Problem& problem) const {
    std::vector<Probe> probes;
    for (std::int64_t b = 0; b < problem.batch_size(); ++b) {
      const auto& own = problem.sequences()[static_cast<std::size_t>(b)];
      for (std::int64_t t = 0; t < own.steps.size(); ++t)
        for (std::int64_t number = 0; number < probes_; ++number) {
          Probe probe{.sequence = b, .step = t, .number = number};
          probe.source = problem.attributes(Side::source) ? std::ssize(own.source) : 0;
          probe.target = problem.attributes(Side::target) ? own.steps.start + t : 0;
          const auto share = static_cast<std::int64_t>(std::ceil(keep_ratio_ * static_cast<double>(probe.seen())));
          probe.kept = std::min(keep_top_n_ > 0 ? keep_top_n_ : share, probe.seen());
          probe.logits = problem.random(b, "reagent start", t * probes_ + number).uniform({probe.seen()});
          probes.push_back(std::move(probe));
        }
    }
    return probes;
  }

  /// The tokens that replace those that a step sees, and what else a round draws.
  whence::RandomStream drawn(const Problem& problem, const Probe& probe, std::int64_t round, const char* what) const {
    return problem.random(probe.sequence, what, (probe.step * probes_ + probe.number) * most_rounds_ + round);
  }

  /// Scores of every probe that goes on when the tokens marked in `replaced` [seen] are others.
  std::vector<double> scores(const Problem& problem, const whence::StepFunction* function,
                             const std::vector<Probe>& probes, const std::vector<Tensor>& replaced, std::int64_t round,
                             const char* what) const {
    const std::int64_t variants = problem.steps() * probes_, batch = problem.batch_size();
    whence::Variants copies{.removal = {whence::Removal::token}};
    for (const Side side : {Side::source, Side::target}) {
      if (!problem.attributes(side)) continue;
      Tensor mask = at::zeros({variants, batch, problem.length(side)}, at::kBool);
      Tensor ids = at::zeros({variants, batch, problem.length(side)}, at::kLong);
      for (std::size_t i = 0; i < probes.size(); ++i) {
        const Probe& probe = probes[i];
        if (probe.done) continue;
        const std::int64_t variant = probe.step * probes_ + probe.number,
                           offset = side == Side::source ? 0 : probe.source;
        const std::int64_t count = side == Side::source ? probe.source : probe.target;
        mask[variant][probe.sequence].narrow(0, 0, count).copy_(replaced[i].narrow(0, offset, count));
        const Tensor& tokens = vocabulary(problem, side);
        ids[variant][probe.sequence]
            .narrow(0, 0, count)
            .copy_(tokens.index_select(
                0, drawn(problem, probe, round, what).choice(tokens.numel(), probe.seen()).narrow(0, offset, count)));
      }
      (side == Side::source ? copies.source_mask : copies.target_mask) = mask;
      (side == Side::source ? copies.source_ids : copies.target_ids) = ids;
    }
    const Tensor all = function ? problem.scores(copies, *function) : problem.scores(copies);
    std::vector<double> result;
    for (const Probe& probe : probes)
      result.push_back(all[probe.step * probes_ + probe.number][probe.sequence][probe.step].item<double>());
    return result;
  }

  /// Tokens that may stand in for others: all that are not special.
  static Tensor vocabulary(const Problem& problem, Side side) {
    const whence::TokenIds& special = problem.model().tokenizer().on(side).all_special_ids();
    std::vector<std::int64_t> plain;
    for (std::int64_t id = 0; id < problem.model().info().vocabulary; ++id)
      if (!std::binary_search(special.begin(), special.end(), id)) plain.push_back(id);
    if (plain.empty())
      throw whence::ConfigError("reagent: every token of the vocabulary is special; none can stand in");
    return at::tensor(plain, at::kLong);
  }

  void update(const Problem& problem, std::int64_t round, std::vector<Probe>& probes) const {
    // As far as a difference of probabilities may go without infinite logits.
    constexpr double kMost = 1 - 1e-6;
    std::vector<Tensor> replaced;
    for (const Probe& probe : probes)
      replaced.push_back(drawn(problem, probe, round, "reagent subset").uniform({probe.seen()}) < replacing_ratio_);
    const auto without = scores(problem, nullptr, probes, replaced, round, "reagent tokens");
    const Tensor base = problem.scores();
    for (std::size_t i = 0; i < probes.size(); ++i) {
      Probe& probe = probes[i];
      if (probe.done) continue;
      const double drop = std::clamp(base[probe.sequence][probe.step].item<double>() - without[i], -kMost, kMost);
      const double change = std::log((1 + drop) / (1 - drop));  // logit((drop + 1) / 2)
      probe.logits = probe.logits + at::where(replaced[i], change, -change);
    }
  }

  void stop(const Problem& problem, std::int64_t round, std::vector<Probe>& probes) const {
    std::vector<Tensor> replaced;
    for (const Probe& probe : probes) {
      Tensor top = at::zeros({probe.seen()}, at::kBool);
      top.index_fill_(0, std::get<1>(probe.logits.topk(probe.kept)), 1);
      replaced.push_back(invert_keep_ ? top : top.logical_not());
    }
    const Rank rank;
    const auto ranks = scores(problem, &rank, probes, replaced, round, "reagent rest");
    for (std::size_t i = 0; i < probes.size(); ++i) {
      if (probes[i].done) continue;
      probes[i].stopped = ranks[i] < static_cast<double>(top_k_);
      // Where nothing is replaced, no later round would see anything else.
      probes[i].done = probes[i].stopped || !replaced[i].any().item<bool>();
    }
  }

  static whence::Attribution average(const Problem& problem, const std::vector<Probe>& probes) {
    whence::Attribution result;
    const auto empty = [&](Side side) -> Tensor {
      if (!problem.attributes(side)) return {};
      return at::zeros({problem.batch_size(), problem.length(side), problem.steps()});
    };
    result.source = empty(Side::source);
    result.target = empty(Side::target);
    Tensor stopped = at::zeros({problem.batch_size(), problem.steps()});
    for (std::size_t first = 0; first < probes.size();) {
      const Probe& one = probes[first];
      std::size_t end = first;
      while (end < probes.size() && probes[end].sequence == one.sequence && probes[end].step == one.step) ++end;
      const bool any =
          std::any_of(probes.begin() + first, probes.begin() + end, [](const Probe& probe) { return probe.stopped; });
      std::vector<Tensor> importance;
      for (std::size_t i = first; i < end; ++i)
        if (probes[i].stopped || !any) importance.push_back(at::softmax(probes[i].logits, 0));
      const Tensor mean = at::stack(importance).mean(0).to(at::kFloat);
      if (one.source > 0)
        result.source[one.sequence].select(1, one.step).narrow(0, 0, one.source).copy_(mean.narrow(0, 0, one.source));
      if (one.target > 0)
        result.target[one.sequence].select(1, one.step).narrow(0, 0, one.target).copy_(mean.slice(0, one.source));
      stopped[one.sequence][one.step] =
          any ? static_cast<double>(importance.size()) / static_cast<double>(end - first) : 0;
      if (!any)
        result.notes = {
            "some steps had no probe that stopped (reagent_stopped is 0): they hold the mean over all probes"};
      first = end;
    }
    result.step_scores = {{"reagent_stopped", stopped}};
    return result;
  }

  std::int64_t keep_top_n_;
  double keep_ratio_;
  bool invert_keep_;
  std::int64_t top_k_;
  double replacing_ratio_;
  std::int64_t most_rounds_, probes_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_method("reagent", [](const whence::Params& params) { return std::make_unique<Reagent>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
