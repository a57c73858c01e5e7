#include <ATen/ops/eye.h>

#include "whence/method.h"
#include "whence/plugin.h"
#include "whence/quadrature.h"
#include "whence/target_layer.h"

namespace {

using whence::Attribution;
using whence::Problem;
using whence::Side;
using whence::Tensor;

class SequentialIntegratedGradients final : public whence::Method {
 public:
  explicit SequentialIntegratedGradients(const whence::Params& params)
      : choice_(whence::path_choice(params)), layer_(params) {
    choice_.path.one_position = true;
    // Their sums over hidden units are what the deltas are made of.
    choice_.request.keep_hidden = choice_.deltas;
  }

  Attribution attribute(const Problem& problem) const override {
    layer_.require_embeddings(problem, "a state has moved with every token before it, so that no path moves it alone");
    const bool exact =
        choice_.request.multiply == whence::Multiply::input_minus_baseline && problem.sums_hidden_units();
    Attribution attribution =
        exact ? differences(problem)
              : whence::attribution_of(problem.integrate(choice_.path, choice_.request), choice_.path);
    if (choice_.deltas) attribution.step_scores["deltas"] = deltas(problem, attribution);
    return attribution;
  }

 private:
  /// The integral along the path of one position, summed over its hidden units, is the difference of the scores at the
  /// ends of that path.
  static Attribution differences(const Problem& problem) {
    Attribution attribution;
    if (problem.attributes(Side::source)) attribution.source = differences(problem, Side::source);
    if (problem.attributes(Side::target)) attribution.target = differences(problem, Side::target);
    attribution.notes = {
        "sums over hidden units are score differences between the input and the input with the token at its baseline, "
        "which the integrals equal exactly: n_steps, method and tolerance had no part in them"};
    return attribution;
  }

  /// [B,rows,T]
  static Tensor differences(const Problem& problem, Side side) {
    whence::Variants each;
    (side == Side::source ? each.source_mask : each.target_mask) = at::eye(problem.length(side), at::kBool);
    const Tensor replaced = problem.scores(each);  // [rows,B,T]; the pass they share gives the others, too
    return (problem.scores() - replaced).transpose(0, 1);
  }

  /// How far all attributions of a step are from adding up to f(input) - f(everything at its baseline): [B,T].
  static Tensor deltas(const Problem& problem, const Attribution& attribution) {
    Tensor deltas = problem.scores(whence::Nodes{{0.0}, {1.0}})[0].to(at::kDouble) - problem.scores();
    for (const Tensor& side : {attribution.source, attribution.target}) {
      if (!side.defined()) continue;
      const Tensor tokens = attribution.granularity.empty() ? side : side.sum(-1, /*keepdim=*/false, at::kDouble);
      deltas = deltas + tokens.sum(1, /*keepdim=*/false, at::kDouble);
    }
    return deltas.to(at::kFloat);
  }

  whence::PathChoice choice_;
  whence::TargetLayer layer_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_method("sequential_integrated_gradients", [](const whence::Params& params) {
    return std::make_unique<SequentialIntegratedGradients>(params);
  });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
