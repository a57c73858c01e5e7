#include "whence/value_zeroing.h"

#include <ATen/ops/cosine_similarity.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/zeros.h>

#include "whence/error.h"
#include "whence/method.h"
#include "whence/plugin.h"
#include "zeroed_heads.h"

namespace {

using whence::Tensor;

/// Smaller changes are taken for rounding.
constexpr double kSmallestChange = 1e-5;

class ValueZeroingMethod final : public whence::Method {
 public:
  explicit ValueZeroingMethod(const whence::Params& params)
      : euclidean_(params.get<std::string>("similarity_metric") == "euclidean"),
        heads_(params.get<whence::Value>("decoder_zeroed_units_indices")) {}

  whence::Attribution attribute(const whence::Problem& problem) const override {
    const whence::ModelInfo& model = problem.model().info();
    const void* power = problem.model().query(whence::ValueZeroing::kCapability);
    if (!power)
      throw whence::ModelError("method 'value_zeroing': the model " + model.name + " (" + model.architecture +
                               ") cannot zero the values of single layers; use 'attention', or a model that can");
    Tensor scores =
        at::zeros({problem.batch_size(), problem.length(whence::Side::target), problem.steps(), model.layers});
    static_cast<const whence::ValueZeroing*>(power)->zero_values(
        problem.inputs(), {.positions = problem.predicting_positions(), .heads = heads_.masks(model)},
        [&](std::int64_t layer, std::int64_t sequence, std::int64_t step, const Tensor& clean, const Tensor& zeroed) {
          const Tensor share = shares(clean.to(at::kDouble), zeroed.to(at::kDouble));
          scores[sequence].select(-1, layer).select(-1, step).narrow(0, 0, share.size(0)).copy_(share);
        });
    return {.target = std::move(scores), .granularity = {"layer"}};
  }

 private:
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
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_method("value_zeroing",
                       [](const whence::Params& params) { return std::make_unique<ValueZeroingMethod>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
