#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/argsort.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/full.h>

#include "whence/error.h"
#include "whence/method.h"
#include "whence/plugin.h"
#include "whence/rollout.h"

namespace {

using whence::Tensor;

class AttentionRollout final : public whence::Method {
 public:
  explicit AttentionRollout(const whence::Params& params)
      : fusion_(params.get<std::string>("head_fusion")),
        residual_(params.get<double>("residual_weight")),
        discarded_(params.get<double>("discard_ratio")),
        start_(params.get<std::int64_t>("start_layer")),
        per_layer_(params.get<bool>("per_layer")) {}

  whence::Attribution attribute(const whence::Problem& problem) const override {
    const std::int64_t layers = problem.model().info().layers;
    if (start_ >= layers)
      throw whence::ConfigError("start_layer: no layer " + std::to_string(start_) + ": " + problem.model().info().name +
                                " has " + std::to_string(layers) + " layers, from 0 on");
    whence::Rollouts rollouts(problem, per_layer_);
    problem.decompose("attention_rollout", /*weights_only=*/true, [&](const whence::BlockParts& block) {
      whence::Rollout& text = rollouts[block.sequence];
      if (block.layer >= start_) {
        const Tensor own = one_head(block.attention.weights);
        text.mix(block.side, residual_ * at::eye(own.size(0)) + (1 - residual_) * own);
        if (block.cross.defined()) {
          const Tensor source = one_head(block.cross.weights);
          text.mix_source(at::full({source.size(0)}, residual_), (1 - residual_) * source);
        }
      }
      if (block.side == whence::Side::target) rollouts.keep(block.sequence, block.layer);
    });
    return rollouts.attribution();
  }

 private:
  /// [H,L,K] -> [L,K]: heads fused, the smallest weights of a row left out, and rows that add up to 1.
  Tensor one_head(const Tensor& weights) const {
    Tensor fused = fusion_ == "mean" ? weights.mean(0) : fusion_ == "max" ? weights.amax(0) : weights.amin(0);
    if (discarded_ > 0) {
      // Of what a row looks at; what it does not see comes first in the order and is 0 anyway.
      const Tensor seen = weights.amax(0).gt(0).sum(1, /*keepdim=*/true);
      const Tensor dropped = (seen * discarded_).floor() + (fused.size(1) - seen);
      const Tensor rank = at::argsort(at::argsort(fused, /*stable=*/true, 1), /*stable=*/true, 1);
      fused = fused.masked_fill(rank < dropped, 0);
    }
    const Tensor sum = fused.sum(1, /*keepdim=*/true);
    return fused / sum.masked_fill(sum == 0, 1);
  }

  std::string fusion_;
  double residual_, discarded_;
  std::int64_t start_;
  bool per_layer_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_method("attention_rollout",
                       [](const whence::Params& params) { return std::make_unique<AttentionRollout>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
