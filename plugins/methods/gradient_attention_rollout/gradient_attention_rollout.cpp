#include <ATen/TensorOperators.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>

#include "whence/error.h"
#include "whence/method.h"
#include "whence/plugin.h"

namespace {

using whence::Side;
using whence::Tensor;

/// Layers come from the last one down, so that one row of the product of (1 + relevance) of all layers is all that has
/// to be held of a step.
class GradientAttentionRollout final : public whence::Method {
 public:
  explicit GradientAttentionRollout(const whence::Params& params)
      : fusion_(params.get<std::string>("head_fusion")),
        start_(params.get<std::int64_t>("start_layer")),
        keep_itself_(params.get<bool>("keep_itself")) {}

  whence::Attribution attribute(const whence::Problem& problem) const override {
    const std::int64_t layers = problem.model().info().layers;
    if (start_ >= layers)
      throw whence::ConfigError("start_layer: no layer " + std::to_string(start_) + ": " + problem.model().info().name +
                                " has " + std::to_string(layers) + " layers, from 0 on");
    const auto rows_of = [&](Side side) {
      return at::zeros({problem.batch_size(), problem.length(side), problem.steps()});
    };
    Tensor target = rows_of(Side::target), source = rows_of(Side::source);
    const auto itself = problem.step_mask().to(at::kFloat).unsqueeze(1);
    const Tensor own = problem.predicting_positions().clamp_min(0).unsqueeze(1);
    target.scatter_add_(1, own, itself);
    problem.attention_gradients([&](const whence::AttentionGradient& attention) {
      if (attention.layer < start_) return;
      const auto row = [&](Side side, std::int64_t count) {
        return (side == Side::target ? target : source)[attention.sequence]
            .select(1, attention.step)
            .narrow(0, 0, count);
      };
      const Tensor relevance = one_head(attention.gradients * attention.weights);
      Tensor keys = row(attention.keys, relevance.size(1));
      keys.add_(at::matmul(row(attention.queries, relevance.size(0)), relevance));
    });
    if (!keep_itself_) target.scatter_add_(1, own, -itself);
    whence::Attribution result;
    if (problem.attributes(Side::target)) result.target = std::move(target);
    if (problem.attributes(Side::source)) result.source = std::move(source);
    return result;
  }

 private:
  /// [H,L,K] -> [L,K] of the positive parts.
  Tensor one_head(const Tensor& products) const {
    const Tensor positive = products.clamp_min(0);
    return fusion_ == "mean" ? positive.mean(0) : fusion_ == "max" ? positive.amax(0) : positive.amin(0);
  }

  std::string fusion_;
  std::int64_t start_;
  bool keep_itself_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_method("gradient_attention_rollout",
                       [](const whence::Params& params) { return std::make_unique<GradientAttentionRollout>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
