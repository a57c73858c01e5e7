#include <ATen/TensorOperators.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "whence/method.h"
#include "whence/plugin.h"
#include "whence/proximity.h"
#include "whence/rollout.h"

namespace {

using whence::Side;
using whence::Tensor;

/// What the parts of one problem add to its scores, so far.
class Contributions {
 public:
  Contributions(const whence::Problem& problem, double order, bool all_parts)
      : problem_(problem),
        order_(order),
        all_parts_(all_parts),
        directions_(problem.directions("alti_logit")),
        network_(at::zeros_like(problem.scores())) {
    for (const whence::Sequence& sequence : problem.sequences())
      texts_.emplace_back(sequence.steps.end - 1, static_cast<std::int64_t>(sequence.source.size()));
    const std::int64_t layers = problem.model().info().layers;
    const auto rows_of = [&](Side side) {
      return at::zeros({problem.batch_size(), problem.length(side), problem.steps(), layers});
    };
    target_ = rows_of(Side::target);
    source_ = rows_of(Side::source);
  }

  void add(const whence::BlockParts& block) {
    whence::Rollout& text = texts_[static_cast<std::size_t>(block.sequence)];
    const Tensor mixture = whence::mixture_by_proximity(block.attention, /*own=*/true, order_).positions;
    if (block.side == Side::source) {
      text.mix(Side::source, mixture);
      return;
    }
    const whence::BlockDirections& directions = directions_.blocks[static_cast<std::size_t>(block.layer)];
    // What the attention reads are rows as the layers below have mixed them.
    const Tensor own = of_positions(block.attention, directions.attention, block.sequence);
    add_rows(target_, block, at::matmul(own, text.target()));
    if (block.cross.defined()) add_rows(source_, block, at::matmul(own, text.source()));
    text.mix(Side::target, mixture);
    if (block.cross.defined()) {
      add_rows(source_, block, at::matmul(of_positions(block.cross, directions.cross, block.sequence), text.encoder()));
      const whence::RowMixture source = whence::mixture_by_proximity(block.cross, /*own=*/false, order_);
      text.mix_source(source.kept, source.positions);
    }
    const Tensor positions = positions_of(block.sequence);
    const Tensor network = along(block.network.added.index_select(0, positions), directions.output, block.sequence);
    network_[block.sequence].narrow(0, 0, network.size(0)).add_(network);
    if (!all_parts_) return;
    add_rows(target_, block, network.unsqueeze(1) * text.target().index_select(0, positions));
    if (block.cross.defined())
      add_rows(source_, block, network.unsqueeze(1) * text.source().index_select(0, positions));
  }

  whence::Attribution attribution(bool per_layer) {
    Tensor embedding = (directions_.states * directions_.input).sum(-1);
    // Of a decoder, the predicting token's own embedding; it counts to the first layer.
    if (all_parts_)
      target_.select(-1, 0).scatter_add_(1, problem_.predicting_positions().clamp_min(0).unsqueeze(1),
                                         embedding.unsqueeze(1));
    whence::Attribution result;
    Tensor rest = problem_.scores() - target_.sum({1, 3}) - source_.sum({1, 3});
    if (!all_parts_) {
      rest = rest - network_ - embedding;
      result.step_scores["network"] = network_;
      result.step_scores["embedding"] = embedding;
    }
    result.step_scores["constant"] = rest;
    const auto shaped = [&](const Tensor& rows) { return per_layer ? rows : rows.sum(-1); };
    if (problem_.attributes(Side::target)) result.target = shaped(target_);
    if (problem_.attributes(Side::source)) result.source = shaped(source_);
    if (per_layer) result.granularity = {"layer"};
    return result;
  }

 private:
  std::int64_t steps_of(std::int64_t sequence) const {
    return problem_.sequences()[static_cast<std::size_t>(sequence)].steps.size();
  }
  /// [T'] of the steps that a sequence has.
  Tensor positions_of(std::int64_t sequence) const {
    return problem_.predicting_positions()[sequence].narrow(0, 0, steps_of(sequence));
  }
  /// [T',D] along the directions of a sequence's steps: [T'].
  Tensor along(const Tensor& rows, const Tensor& directions, std::int64_t sequence) const {
    return (rows * directions[sequence].narrow(0, 0, rows.size(0))).sum(-1);
  }
  /// What comes from each position into the rows of the steps, along their directions: [T',K].
  Tensor of_positions(const whence::AttentionParts& parts, const Tensor& directions, std::int64_t sequence) const {
    const Tensor positions = positions_of(sequence);
    const Tensor factors =
        parts.weights.index_select(1, positions) * parts.scale.index_select(0, positions).view({1, -1, 1});
    const Tensor values = at::matmul(parts.vectors, directions[sequence].narrow(0, 0, steps_of(sequence)).t());
    return (factors * values.transpose(1, 2)).sum(0);
  }
  /// Adds shares [T',K] of a layer.
  static void add_rows(Tensor& results, const whence::BlockParts& block, const Tensor& shares) {
    results[block.sequence]
        .select(-1, block.layer)
        .narrow(0, 0, shares.size(1))
        .narrow(1, 0, shares.size(0))
        .add_(shares.t());
  }

  const whence::Problem& problem_;
  double order_;
  bool all_parts_;
  whence::StreamDirections directions_;
  std::vector<whence::Rollout> texts_;
  Tensor target_, source_;  // [B,L,T,N], [B,S,T,N]
  Tensor network_;          // [B,T]
};

class AltiLogit final : public whence::Method {
 public:
  explicit AltiLogit(const whence::Params& params)
      : order_(params.get<std::string>("distance") == "l1" ? 1 : 2),
        all_parts_(params.get<std::string>("parts") == "all"),
        per_layer_(params.get<bool>("per_layer")) {}

  whence::Attribution attribute(const whence::Problem& problem) const override {
    Contributions contributions(problem, order_, all_parts_);
    problem.decompose("alti_logit", /*weights_only=*/false,
                      [&](const whence::BlockParts& block) { contributions.add(block); });
    return contributions.attribution(per_layer_);
  }

 private:
  double order_;
  bool all_parts_, per_layer_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_method("alti_logit", [](const whence::Params& params) { return std::make_unique<AltiLogit>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
