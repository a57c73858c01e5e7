#include "whence/value_zeroing.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cosine_similarity.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <limits>

#include "whence/error.h"
#include "whence/method.h"
#include "whence/plugin.h"
#include "whence/rollout.h"
#include "zeroed_heads.h"

namespace {

using whence::Side;
using whence::Tensor;
using Attention = whence::ValueZeroing::Attention;

/// Smaller changes are taken for rounding.
constexpr double kSmallestChange = 1e-5;

/// Every position of every text: [B,L], -1 behind its end.
Tensor all_positions(const whence::PaddedIds& texts) {
  const Tensor position = at::arange(texts.ids.size(1)).unsqueeze(0);
  return at::where(position < texts.lengths.unsqueeze(1), position, -1);
}

/// NaN where a token stands behind the one that would read it: [B,zeroed,read,N].
Tensor without_future(const Tensor& scores) {
  const Tensor behind = at::ones({scores.size(1), scores.size(2)}, at::kBool).tril(-1);
  return scores.masked_fill(behind.unsqueeze(-1), std::numeric_limits<double>::quiet_NaN());
}

class ValueZeroingMethod final : public whence::Method {
 public:
  explicit ValueZeroingMethod(const whence::Params& params)
      : euclidean_(params.get<std::string>("similarity_metric") == "euclidean"),
        decoder_heads_("decoder_zeroed_units_indices", params),
        encoder_heads_("encoder_zeroed_units_indices", params),
        cross_heads_("cross_zeroed_units_indices", params),
        decoder_maps_(params.get<bool>("output_decoder_self_scores")),
        encoder_maps_(params.get<bool>("output_encoder_self_scores")),
        rollout_(params.get<bool>("rollout")) {}

  whence::Attribution attribute(const whence::Problem& problem) const override {
    const whence::ModelInfo& model = problem.model().info();
    const void* power = problem.model().query(whence::ValueZeroing::kCapability);
    if (!power)
      throw whence::ModelError("method 'value_zeroing': the model " + model.name + " (" + model.architecture +
                               ") cannot zero the values of single layers; use 'attention', or a model that can");
    const auto& zeroing = *static_cast<const whence::ValueZeroing*>(power);
    const whence::Inputs& inputs = problem.inputs();
    const bool has_source = inputs.source.defined(), attributes_target = problem.attributes(Side::target);
    refuse_heads_without_effect(model, has_source, attributes_target);
    if (rollout_) return rolled_out(problem, zeroing);

    whence::ValueZeroing::Request request;
    std::map<Attention, Tensor> scores;  // [B,zeroed,read,N]
    const auto ask = [&](Attention attention, const Tensor& positions, const ZeroedHeads& heads, Side zeroed) {
      const auto [layer_count, head_count] = zeroing.extent(attention);
      scores[attention] = at::zeros({problem.batch_size(), problem.length(zeroed), positions.size(1), layer_count});
      return whence::ValueZeroing::Values{positions, heads.masks(model.name, layer_count, head_count)};
    };
    if (attributes_target)
      request.target = ask(Attention::target, problem.predicting_positions(), decoder_heads_, Side::target);
    else if (decoder_maps_)
      request.target = ask(Attention::target, all_positions(inputs.target), decoder_heads_, Side::target);
    if (has_source) request.cross = ask(Attention::cross, problem.predicting_positions(), cross_heads_, Side::source);
    if (has_source && encoder_maps_)
      request.source = ask(Attention::source, all_positions(inputs.source), encoder_heads_, Side::source);
    zeroing.zero_values(inputs, request, [&](const whence::ValueZeroing::Row& row) {
      const Tensor share = shares(row.clean.to(at::kDouble), row.zeroed.to(at::kDouble));
      scores[row.attention][row.sequence]
          .select(-1, row.layer)
          .select(-1, row.step)
          .narrow(0, 0, share.size(0))
          .copy_(share);
    });

    whence::Attribution attribution{.granularity = {"layer"}};
    if (has_source) attribution.source = scores.at(Attention::cross);
    if (attributes_target)
      attribution.target = scores.at(Attention::target);
    else if (decoder_maps_)
      attribution.sequence_scores["decoder_self_scores"] = without_future(scores.at(Attention::target));
    if (has_source && encoder_maps_) attribution.sequence_scores["encoder_self_scores"] = scores.at(Attention::source);
    return attribution;
  }

 private:
  /// The shares of all rows of a layer mix those of the layer below.
  whence::Attribution rolled_out(const whence::Problem& problem, const whence::ValueZeroing& zeroing) const {
    const whence::ModelInfo& model = problem.model().info();
    if (problem.inputs().source.defined())
      throw whence::ModelError(
          "method 'value_zeroing': the model " + model.name + " (" + model.architecture +
          ") has a source, which a rollout of zeroed values leaves out; take 'rollout' out, or use "
          "'attention_rollout'");
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
    const auto [layer_count, head_count] = zeroing.extent(Attention::target);
    const std::vector<Tensor> heads = decoder_heads_.masks(model.name, layer_count, head_count);
    zeroing.zero_values(problem.inputs(), {.target = {positions, heads}}, [&](const whence::ValueZeroing::Row& row) {
      if (row.layer != visited) {
        mix();
        mixtures.clear();
        for (std::int64_t b = 0; b < problem.batch_size(); ++b)
          mixtures.push_back(at::eye(last[b].item<std::int64_t>() + 1));
        visited = row.layer;
      }
      // A row that no token moves stays as it is.
      if (const Tensor share = shares(row.clean.to(at::kDouble), row.zeroed.to(at::kDouble));
          share.sum().item<double>() > 0)
        mixtures[static_cast<std::size_t>(row.sequence)][row.step].zero_().narrow(0, 0, share.size(0)).copy_(share);
    });
    mix();
    for (std::int64_t b = 0; b < problem.batch_size(); ++b) rollouts.keep(b, model.layers - 1);
    return rollouts.attribution();
  }

  /// Heads that are named for an attention which is not looked at.
  void refuse_heads_without_effect(const whence::ModelInfo& model, bool has_source, bool attributes_target) const {
    if (!has_source)
      for (const ZeroedHeads* heads : {&encoder_heads_, &cross_heads_})
        heads->refuse_if_named("the model " + model.name + " has no source; take it out");
    if (!attributes_target && !decoder_maps_)
      decoder_heads_.refuse_if_named(
          "nothing shows the decoder's own scores; set output_decoder_self_scores or attribute_target");
    if (!encoder_maps_)
      encoder_heads_.refuse_if_named("nothing shows the encoder's own scores; set output_encoder_self_scores");
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
  ZeroedHeads decoder_heads_, encoder_heads_, cross_heads_;
  bool decoder_maps_, encoder_maps_;  ///< whether scores that explain no step are shown
  bool rollout_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_method("value_zeroing",
                       [](const whence::Params& params) { return std::make_unique<ValueZeroingMethod>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
