#include "decomposition_pass.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>

#include "finite.h"
#include "pass_layout.h"

namespace whence::transformer {
namespace {

/// An attention that has run: who looks where, and at what.
struct Looked {
  Tensor weights;  ///< [H,L,K]
  Tensor mixed;    ///< [L,H*head]
  Tensor values;   ///< [H,K,head]
  Tensor output;   ///< [D,H*head] weights of the projection behind it
  Tensor bias;     ///< [D] of the same
};

/// An attention's addition to the stream.
struct Added {
  LinearNorm before, branch, after;
  Tensor output;  ///< [L,D] the stream behind the attention
};

/// `input` [L,D] is the stream as the branch finds it, before any norm.
Added add(const BranchNorms& norms, double branch_scale, const Tensor& input, const Looked& looked) {
  const Tensor made = at::matmul(looked.mixed, looked.output.t()) + looked.bias;
  Added result;
  result.before = LinearNorm(norms.before, input);
  result.branch = LinearNorm(norms.branch, made);
  const auto normed = [](const LinearNorm& norm, const Tensor& x) { return norm.linear(x) + norm.constant(); };
  const Tensor sum = normed(result.before, input) + branch_scale * normed(result.branch, made);
  result.after = LinearNorm(norms.after, sum);
  result.output = normed(result.after, sum);
  return result;
}

/// Values [K,groups * head] of heads that share them, for each head: [H,K,head].
Tensor values_of_heads(const AttentionShape& shape, const Tensor& values) {
  return values.view({values.size(0), shape.key_value_heads, shape.head_size})
      .transpose(0, 1)
      .repeat_interleave(shape.heads / shape.key_value_heads, 0);
}

AttentionParts parts_of(const AttentionShape& shape, double branch_scale, const Looked& looked, const Tensor& input,
                        const Added& added) {
  // [D,H*head] -> [H,head,D]
  const Tensor by_head = looked.output.t().view({shape.heads, shape.head_size, -1});
  const Tensor written = at::bmm(looked.values, by_head);
  AttentionParts parts;
  parts.weights = looked.weights;
  parts.scale = (added.branch.scale() * added.after.scale()).expand({input.size(0), 1}).squeeze(1);
  parts.vectors = added.after.direct(branch_scale * added.branch.direct(written));
  parts.kept = added.after.linear(added.before.linear(input));
  const Tensor constants = branch_scale * (added.branch.linear(looked.bias.unsqueeze(0)) + added.branch.constant()) +
                           added.before.constant();
  parts.constant = (added.after.linear(constants) + added.after.constant()).expand_as(input);
  parts.output = added.output;
  return parts;
}

/// The blocks of a stack over one text, one after another.
class Walk {
 public:
  explicit Walk(const TextPass& pass)
      : pass_(pass),
        layout_(whole_texts({pass.embeddings.size(0)})),
        lengths_{pass.length},
        positions_(pass.stack, lengths_, layout_) {
    if (pass.source) behind_source_ = behind_sources(layout_, *pass.source, {0});
    stream_ = pass.stack.first_states(pass.embeddings, layout_, nullptr);
  }

  const Tensor& stream() const { return stream_; }

  /// What a block does; tensors [L,D] in front of each branch and behind the last.
  struct Block {
    const BlockShape& shape;
    const BlockWeights& weights;
    Tensor input, middle;  ///< `middle` behind the first attention, of blocks that look at a source
    Looked attention, cross;
    Tensor output;
    Tensor output_inverse;  ///< [L] of the norm of the stream behind the network
  };

  Block next(std::size_t layer) {
    const Stack<float>& stack = pass_.stack;
    Block result{stack.shape(layer), stack.blocks().weights()[layer], stream_.clone(), {}, {}, {}, {}, {}};
    const BlockForward<float> block(result.shape, result.weights, stack.blocks().forward(layer, scratch_));
    BlockTrace kept;
    // The deviations of norms behind the network are nowhere else.
    BlockTrace* trace = result.weights.mlp_norms.after ? &kept : nullptr;
    const Tensor rows = block.heads(stream_, positions_.angles(layer), trace);
    const AttentionShape& shape = result.shape.attention;
    const Tensor values = rows.narrow(1, shape.queries() + shape.keys(), shape.keys()).contiguous();
    result.attention =
        look(shape, positions_.bias(layer), layout_, layer, rows, values, result.weights.attention.output);
    Tensor mixed = result.attention.mixed;
    if (behind_source_) {
      const Tensor queries = block.cross_queries(mixed, stream_, trace);
      result.middle = stream_.clone();
      const Tensor keys = pass_.source->layers[layer];
      result.cross = look(result.shape.cross, nullptr, *behind_source_, layer, queries,
                          keys.narrow(1, pass_.source->value_column, result.shape.cross.keys()).contiguous(),
                          result.weights.cross->output);
      mixed = result.cross.mixed;
    }
    block.finish(mixed, stream_, trace);
    require_finite_states<float>(stream_, layer);
    result.output = stream_.clone();
    if (trace) result.output_inverse = kept.mlp.after.inverse;
    return result;
  }

 private:
  Looked look(const AttentionShape& shape, const ScoreBias<float>* bias, const RowLayout& layout, std::size_t layer,
              const Tensor& rows, const Tensor& values, const Projection& output) const {
    const Segment& segment = layout.segments.front();
    Looked result;
    result.mixed = at::empty({segment.count, shape.queries()}, rows.options());
    Tensor weights = at::zeros({1, shape.heads, segment.count, shape.end(segment)}, rows.options());
    attend<float>(shape, bias, layout, layer, rows, result.mixed, &weights);
    result.weights = weights.squeeze(0);
    if (pass_.weights_only) return result;
    result.values = values_of_heads(shape, values);
    result.output = output.dense();
    result.bias = output.bias.defined() ? output.bias : at::zeros({result.output.size(0)}, rows.options());
    return result;
  }

  const TextPass& pass_;
  RowLayout layout_;
  std::vector<std::int64_t> lengths_;
  PassPositions<float> positions_;
  std::optional<RowLayout> behind_source_;
  Tensor stream_;
  ForwardMatrices<float> scratch_;
};

/// The stream behind each attention, and the norms there.
struct Additions {
  Added attention, cross;
  const Tensor& behind() const { return cross.output.defined() ? cross.output : attention.output; }
};

Additions additions_of(const Walk::Block& block) {
  const double scale = block.shape.layout.branch_scale;
  Additions result;
  result.attention = add(block.weights.attention_norms, scale, block.input, block.attention);
  if (block.middle.defined()) result.cross = add(block.weights.cross_norms, scale, block.middle, block.cross);
  return result;
}

/// The norms of the stream around the network.
std::pair<LinearNorm, LinearNorm> network_norms(const Walk::Block& block, const Tensor& behind) {
  const BranchNorms& norms = block.weights.mlp_norms;
  return {LinearNorm(norms.before, behind), LinearNorm::with_inverse(norms.after, block.output_inverse)};
}

NetworkParts network_parts(const Walk::Block& block, const Tensor& behind) {
  const auto [before, after] = network_norms(block, behind);
  NetworkParts parts;
  parts.output = block.output;
  parts.kept = after.linear(before.linear(behind));
  parts.constant = (after.linear(before.constant().expand_as(behind)) + after.constant()).expand_as(behind);
  parts.added = parts.output - parts.kept - parts.constant;
  return parts;
}

}  // namespace

Tensor visit_parts(const TextPass& pass, const BlockDecomposition::Visitor& visit) {
  Walk walk(pass);
  for (std::size_t layer = 0; layer < pass.stack.layers(); ++layer) {
    const Walk::Block block = walk.next(layer);
    BlockParts parts;
    parts.layer = static_cast<std::int64_t>(layer);
    if (pass.weights_only) {
      parts.attention.weights = block.attention.weights;
      parts.cross.weights = block.cross.weights;
    } else {
      const double scale = block.shape.layout.branch_scale;
      const Additions additions = additions_of(block);
      parts.attention = parts_of(block.shape.attention, scale, block.attention, block.input, additions.attention);
      if (block.middle.defined())
        parts.cross = parts_of(block.shape.cross, scale, block.cross, block.middle, additions.cross);
      parts.network = network_parts(block, additions.behind());
    }
    visit(parts);
  }
  return walk.stream();
}

StreamAtRows stream_at(const TextPass& pass, const Tensor& rows) {
  Walk walk(pass);
  StreamAtRows result;
  result.input = walk.stream().index_select(0, rows);
  for (std::size_t layer = 0; layer < pass.stack.layers(); ++layer) {
    const Walk::Block block = walk.next(layer);
    const Additions additions = additions_of(block);
    const auto [before, after] = network_norms(block, additions.behind());
    result.blocks.push_back({additions.attention.before.of_rows(rows), additions.attention.after.of_rows(rows),
                             additions.cross.before.of_rows(rows), additions.cross.after.of_rows(rows),
                             before.of_rows(rows), after.of_rows(rows)});
  }
  result.output = walk.stream().index_select(0, rows);
  return result;
}

StreamDirections directions_below(const StreamAtRows& stream, Tensor direction, bool crosses) {
  StreamDirections result;
  result.states = stream.input;
  result.blocks.resize(stream.blocks.size());
  for (std::size_t layer = stream.blocks.size(); layer-- > 0;) {
    const StreamNorms& norms = stream.blocks[layer];
    BlockDirections& block = result.blocks[layer];
    block.output = direction;
    direction = norms.before_network.transposed(norms.after_network.transposed(direction));
    if (crosses) {
      block.cross = direction;
      direction = norms.before_cross.transposed(norms.after_cross.transposed(direction));
    }
    block.attention = direction;
    direction = norms.before_attention.transposed(norms.after_attention.transposed(direction));
  }
  result.input = direction;
  return result;
}

}  // namespace whence::transformer
