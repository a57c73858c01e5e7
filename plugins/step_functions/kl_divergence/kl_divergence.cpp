#include <ATen/ops/arange.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/log.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include <limits>

#include "whence/contrastive_function.h"
#include "whence/error.h"
#include "whence/plugin.h"
#include "whence/step_function.h"

namespace {

using whence::Tensor;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Log-probabilities over the tokens that take part, [B,T,V]; zeros stand for the others, so that gradients stay
/// finite.
Tensor log_probabilities(const Tensor& logits, const Tensor& taking_part) {
  const Tensor highest = at::where(taking_part, logits, -kInfinity).amax(-1, /*keepdim=*/true).detach();
  const Tensor shifted = at::where(taking_part, logits - highest, 0.0);
  const Tensor mass = at::where(taking_part, shifted.exp(), 0.0).sum(-1, /*keepdim=*/true);
  return at::where(taking_part, shifted - mass.log(), 0.0);
}

class KlDivergence final : public whence::ContrastiveFunction {
 public:
  explicit KlDivergence(const whence::Params& params)
      : ContrastiveFunction(params),
        top_k_(params.get<std::int64_t>("top_k")),
        min_kept_(params.get<std::int64_t>("min_tokens_to_keep")),
        top_p_(params.get<double>("top_p")) {}

  whence::StepNeeds needs(whence::StepRole role) const override {
    const whence::StepNeeds needs = ContrastiveFunction::needs(role);
    if (!needs.contrast_logits)
      throw whence::ConfigError(
          "explained in the logits of the text itself, the divergence is zero whatever the text; set "
          "contrast_force_inputs: true to compare with passes over the contrastive text");
    return needs;
  }

  Tensor score(const whence::StepInputs& inputs) const override {
    const Tensor kept = filtered(inputs.logits.detach() + inputs.contrast_logits.detach());
    // A token that is ruled out adds nothing, unless the other distribution alone rules it out.
    const Tensor own = kept.logical_and(inputs.logits > -kInfinity);
    const Tensor other = kept.logical_and(inputs.contrast_logits > -kInfinity);
    const Tensor log_p = log_probabilities(inputs.logits, own);
    const Tensor difference = log_p - log_probabilities(inputs.contrast_logits, other);
    const Tensor sum = at::where(own, log_p.exp() * difference, 0.0).sum(-1);
    return at::where(own.logical_and(other.logical_not()).any(-1), kInfinity, sum);
  }

 private:
  /// Tokens that both distributions are compared on: those that are likely under the product of both, [B,T,V] bool.
  Tensor filtered(const Tensor& sum) const {
    if (top_k_ == 0 && top_p_ >= 1) return at::ones_like(sum, at::kBool);
    const auto [ascending, order] = sum.sort(-1);
    // From the least likely on: tokens that the rest can do without.
    Tensor dropped = ascending.softmax(-1).cumsum(-1) <= 1 - top_p_;
    const Tensor rank = at::arange(sum.size(-1) - 1, -1, -1);
    if (top_k_ > 0) dropped = dropped.logical_or(rank >= top_k_);
    const Tensor kept = dropped.logical_not().logical_or(rank < min_kept_);
    return at::zeros_like(kept).scatter(-1, order, kept);
  }

  std::int64_t top_k_, min_kept_;
  double top_p_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_step_function("kl_divergence",
                              [](const whence::Params& params) { return std::make_unique<KlDivergence>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
