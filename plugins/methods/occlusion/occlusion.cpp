#include <ATen/ops/arange.h>
#include <ATen/ops/einsum.h>
#include <ATen/ops/tensor.h>

#include "whence/error.h"
#include "whence/method.h"
#include "whence/plugin.h"

namespace {

using whence::Side;
using whence::Tensor;

class Occlusion final : public whence::Method {
 public:
  explicit Occlusion(const whence::Params& params)
      : window_(params.get<std::int64_t>("sliding_window")),
        stride_(params.get<std::int64_t>("stride")),
        absolute_(params.get<std::string>("compat") == "reference") {
    if (stride_ > window_)
      throw whence::ConfigError("stride: at most sliding_window = " + std::to_string(window_) + ", found " +
                                std::to_string(stride_) + "; a larger stride leaves tokens that no window covers");
  }

  whence::Attribution attribute(const whence::Problem& problem) const override {
    whence::Attribution attribution;
    if (problem.attributes(Side::source)) attribution.source = drops(problem, Side::source);
    if (problem.attributes(Side::target)) attribution.target = drops(problem, Side::target);
    return attribution;
  }

 private:
  /// Mean drop of the score over the windows that cover each token: [B,rows,T].
  Tensor drops(const whence::Problem& problem, Side side) const {
    const Tensor last = last_window(visible_rows(problem, side));  // [B,T]
    const Tensor windows = at::arange(last.max().item<std::int64_t>() + 1, at::kLong);
    const Tensor rows = at::arange(problem.length(side), at::kLong);
    const Tensor starts = (windows * stride_).unsqueeze(1);
    const Tensor covered = (rows >= starts).logical_and(rows < starts + window_);  // [P,rows]

    // Of every text the windows that a step of it knows: [P,B,rows].
    const Tensor known = windows.unsqueeze(1) <= last.amax(1).unsqueeze(0);
    whence::Variants variants;
    (side == Side::source ? variants.source_mask : variants.target_mask) =
        covered.unsqueeze(1).logical_and(known.unsqueeze(-1));
    const Tensor replaced = problem.scores(variants);  // [P,B,T]; the pass they share gives the others, too
    const Tensor drop = problem.scores() - replaced;

    // A step knows no window beyond the one that reaches the end of what it sees.
    const Tensor used = (windows.view({-1, 1, 1}) <= last).to(at::kFloat);
    const Tensor weights = covered.to(at::kFloat);
    const Tensor count = at::einsum("pr,pbt->brt", {weights, used}).clamp_min(1);
    const Tensor mean = at::einsum("pr,pbt->brt", {weights, used * drop}) / count;
    return absolute_ ? mean.abs() : mean;
  }

  /// Number of rows of a side that each step depends on: [B,T].
  static Tensor visible_rows(const whence::Problem& problem, Side side) {
    if (side == Side::target) return problem.predicting_positions() + 1;
    std::vector<std::int64_t> lengths;
    for (const whence::Sequence& sequence : problem.sequences()) lengths.push_back(std::ssize(sequence.source));
    return at::tensor(lengths, at::kLong).unsqueeze(1).expand({problem.batch_size(), problem.steps()});
  }

  /// Index of the first window that reaches row `visible` - 1, for each step.
  Tensor last_window(const Tensor& visible) const {
    return (visible - window_ + stride_ - 1).clamp_min(0).div(stride_, "floor").to(at::kLong);
  }

  std::int64_t window_, stride_;
  bool absolute_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_method("occlusion", [](const whence::Params& params) { return std::make_unique<Occlusion>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
