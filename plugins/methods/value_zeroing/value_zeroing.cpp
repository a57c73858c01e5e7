#include "whence/value_zeroing.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cosine_similarity.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include "whence/error.h"
#include "whence/method.h"
#include "whence/plugin.h"
#include "whence/rollout.h"
#include "zeroed_heads.h"

namespace {

using whence::Tensor;

/// Smaller changes are taken for rounding.
constexpr double kSmallestChange = 1e-5;

class ValueZeroingMethod final : public whence::Method {
 public:
  explicit ValueZeroingMethod(const whence::Params& params)
      : euclidean_(params.get<std::string>("similarity_metric") == "euclidean"),
        heads_(params.get<whence::Value>("decoder_zeroed_units_indices")),
        rollout_(params.get<bool>("rollout")) {}

  whence::Attribution attribute(const whence::Problem& problem) const override {
    const whence::ModelInfo& model = problem.model().info();
    const void* power = problem.model().query(whence::ValueZeroing::kCapability);
    if (!power)
      throw whence::ModelError("method 'value_zeroing': the model " + model.name + " (" + model.architecture +
                               ") cannot zero the values of single layers; use 'attention', or a model that can");
    const auto& zeroing = *static_cast<const whence::ValueZeroing*>(power);
    if (rollout_) return rolled_out(problem, zeroing);
    Tensor scores =
        at::zeros({problem.batch_size(), problem.length(whence::Side::target), problem.steps(), model.layers});
    zeroing.zero_values(
        problem.inputs(), {.positions = problem.predicting_positions(), .heads = heads_.masks(model)},
        [&](std::int64_t layer, std::int64_t sequence, std::int64_t step, const Tensor& clean, const Tensor& zeroed) {
          const Tensor share = shares(clean.to(at::kDouble), zeroed.to(at::kDouble));
          scores[sequence].select(-1, layer).select(-1, step).narrow(0, 0, share.size(0)).copy_(share);
        });
    return {.target = std::move(scores), .granularity = {"layer"}};
  }

 private:
  /// The shares of all rows of a layer mix those of the layer below.
  whence::Attribution rolled_out(const whence::Problem& problem, const whence::ValueZeroing& zeroing) const {
    const whence::ModelInfo& model = problem.model().info();
    // Every row of a text, up to its last that predicts a step.
    const Tensor last = std::get<0>(problem.predicting_positions().max(1, /*keepdim=*/true));
    const Tensor rows = at::arange(problem.length(whence::Side::target) - 1).unsqueeze(0);
    const Tensor positions = at::where(rows <= last, rows, -1);
    whence::Rollouts rollouts(problem, /*per_layer=*/false);
    std::vector<Tensor> mixtures;  // of the layer that is being visited
    std::int64_t visited = -1;
    const auto mix = [&] {
      for (std::size_t b = 0; b < mixtures.size(); ++b)
        rollouts[static_cast<std::int64_t>(b)].mix(whence::Side::target, mixtures[b]);
    };
    zeroing.zero_values(
        problem.inputs(), {.positions = positions, .heads = heads_.masks(model)},
        [&](std::int64_t layer, std::int64_t sequence, std::int64_t row, const Tensor& clean, const Tensor& zeroed) {
          if (layer != visited) {
            mix();
            mixtures.clear();
            for (std::int64_t b = 0; b < problem.batch_size(); ++b)
              mixtures.push_back(at::eye(last[b].item<std::int64_t>() + 1));
            visited = layer;
          }
          // A row that no token moves stays as it is.
          if (const Tensor share = shares(clean.to(at::kDouble), zeroed.to(at::kDouble));
              share.sum().item<double>() > 0)
            mixtures[static_cast<std::size_t>(sequence)][row].zero_().narrow(0, 0, share.size(0)).copy_(share);
        });
    mix();
    for (std::int64_t b = 0; b < problem.batch_size(); ++b) rollouts.keep(b, model.layers - 1);
    return rollouts.attribution();
  }

  /// How far each zeroed token moves a state, as shares of 1 (all zero if none does): [D], [tokens,D] -> [tokens].
  Tensor shares(const Tensor& clean, const Tensor& zeroed) const {
    Tensor change = euclidean_ ? at::linalg_vector_norm(zeroed - clean, 2, -1)
                               : 1 - at::cosine_similarity(zeroed, clean.unsqueeze(0), -1);
    change = change.masked_fill(change < kSmallestChange, 0);
    const Tensor sum = change.sum();
    return change / sum.masked_fill(sum == 0, 1);
  }

  bool euclidean_;
  ZeroedHeads heads_;
  bool rollout_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_method("value_zeroing",
                       [](const whence::Params& params) { return std::make_unique<ValueZeroingMethod>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
