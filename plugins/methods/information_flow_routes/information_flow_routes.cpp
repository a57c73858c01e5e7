#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/diag_embed.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>

#include "whence/method.h"
#include "whence/plugin.h"
#include "whence/proximity.h"
#include "whence/rollout.h"

namespace {

using whence::Side;
using whence::Tensor;

/// Edges into some rows of the stream behind an attention, or into sums of rows: what is added there, and what of it
/// comes from each position through each head.
struct Junction {
  Tensor factors;       ///< [H,R,K] of the vectors
  Tensor kept, output;  ///< [R,D]

  Junction narrow(std::int64_t first, std::int64_t count) const {
    return {factors.narrow(1, first, count), kept.narrow(0, first, count), output.narrow(0, first, count)};
  }
};

/// Importances that add up to 1 for each row.
struct Edges {
  Tensor heads;  ///< [R,H,K]
  Tensor kept;   ///< [R]
};

Junction of_all_rows(const whence::AttentionParts& parts) {
  return {parts.weights * parts.scale.view({1, -1, 1}), parts.kept, parts.output};
}

class InformationFlowRoutes final : public whence::Method {
 public:
  explicit InformationFlowRoutes(const whence::Params& params)
      : form_(params.get<std::string>("form")),
        threshold_(params.get<double>("threshold")),
        order_(params.get<std::string>("distance") == "l1" ? 1 : 2),
        per_layer_(params.get<bool>("per_layer")) {}

  whence::Attribution attribute(const whence::Problem& problem) const override {
    return form_ == "routes" ? routes(problem) : edges(problem);
  }

 private:
  /// The flow along all routes that are left: edges of a layer times those of the layers below.
  whence::Attribution routes(const whence::Problem& problem) const {
    whence::Rollouts rollouts(problem, per_layer_);
    problem.decompose("information_flow_routes", /*weights_only=*/false, [&](const whence::BlockParts& block) {
      whence::Rollout& text = rollouts[block.sequence];
      const Edges own = edges_into(of_all_rows(block.attention), block.attention);
      text.mix(block.side, own.heads.sum(1) + at::diag_embed(own.kept));
      if (block.cross.defined()) {
        const Edges source = edges_into(of_all_rows(block.cross), block.cross);
        text.mix_source(source.kept, source.heads.sum(1));
      }
      if (block.side == Side::target) rollouts.keep(block.sequence, block.layer);
    });
    return rollouts.attribution();
  }

  /// The edges of every layer into the rows that predict the steps.
  whence::Attribution edges(const whence::Problem& problem) const {
    const whence::ModelInfo& model = problem.model().info();
    whence::Attribution result{.granularity = {"layer", "head"}};
    const auto rows_of = [&](Side side) {
      return problem.attributes(side)
                 ? at::zeros({problem.batch_size(), problem.length(side), problem.steps(), model.layers, model.heads})
                 : Tensor();
    };
    result.target = rows_of(Side::target);
    result.source = rows_of(Side::source);
    problem.decompose("information_flow_routes", /*weights_only=*/false, [&](const whence::BlockParts& block) {
      if (block.side == Side::source) return;
      const Tensor positions = problem.predicting_positions()[block.sequence].narrow(
          0, 0, problem.sequences()[static_cast<std::size_t>(block.sequence)].steps.size());
      const auto put = [&](const whence::AttentionParts& parts, const Tensor& into) {
        if (!parts.defined() || !into.defined()) return;
        const Tensor heads = edges_into(of_steps(parts, positions), parts).heads.permute({2, 0, 1});  // [K,T',H]
        into[block.sequence]
            .select(2, block.layer)
            .narrow(0, 0, heads.size(0))
            .narrow(1, 0, heads.size(1))
            .copy_(heads);
      };
      put(block.attention, result.target);
      put(block.cross, result.source);
    });
    return result;
  }

  /// Rows of the steps; in the form of spans the sum of the rows of a step and of those before it.
  Junction of_steps(const whence::AttentionParts& parts, const Tensor& positions) const {
    const Junction all = of_all_rows(parts);
    Junction steps{all.factors.index_select(1, positions), all.kept.index_select(0, positions),
                   all.output.index_select(0, positions)};
    if (form_ == "edges") return steps;
    return {steps.factors.cumsum(1), steps.kept.cumsum(0), steps.output.cumsum(0)};
  }

  Edges edges_into(const Junction& junction, const whence::AttentionParts& parts) const {
    const std::int64_t heads = parts.vectors.size(0), keys = parts.vectors.size(1), rows = junction.kept.size(0);
    Tensor near = at::zeros({rows, heads * keys + 1});
    const std::int64_t together = parts.rows_at_once(heads);
    for (std::int64_t first = 0; first < rows; first += together) {
      const std::int64_t count = std::min(together, rows - first);
      const Junction some = junction.narrow(first, count);
      const Tensor each = (some.factors.transpose(0, 1).unsqueeze(-1) * parts.vectors.unsqueeze(0)).flatten(1, 2);
      near.narrow(0, first, count)
          .copy_(whence::proximity(at::cat({each, some.kept.unsqueeze(1)}, 1), some.output, order_));
    }
    const Tensor shares = kept_edges(near);
    return {shares.narrow(1, 0, heads * keys).view({rows, heads, keys}), shares.select(1, heads * keys)};
  }

  /// Importances [R,E] of edges, those up to the threshold left out; a row that loses all goes on in itself, the last.
  Tensor kept_edges(const Tensor& near) const {
    Tensor itself = at::zeros_like(near);
    itself.select(1, near.size(1) - 1).fill_(1);
    const auto normalised = [&](const Tensor& edges) {
      const Tensor sum = edges.sum(1, /*keepdim=*/true);
      return at::where(sum > 0, edges / sum.masked_fill(sum <= 0, 1), itself);
    };
    const Tensor all = normalised(near);
    return threshold_ > 0 ? normalised(all.masked_fill(all <= threshold_, 0)) : all;
  }

  std::string form_;
  double threshold_, order_;
  bool per_layer_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_method("information_flow_routes",
                       [](const whence::Params& params) { return std::make_unique<InformationFlowRoutes>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
