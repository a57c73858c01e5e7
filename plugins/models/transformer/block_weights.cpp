#include "block_weights.h"

namespace whence::transformer {
namespace {

/// One projection with the outputs of both, one above the other; biases play no part in the backward.
Projection above(const Projection& upper, const Projection& lower) {
  Projection result = upper;
  result.parts.insert(result.parts.end(), lower.parts.begin(), lower.parts.end());
  return result;
}

// Norms and biases are read as the numbers that are computed with.
void convert(std::optional<Norm>& norm, at::ScalarType type) {
  if (norm) norm = norm->to(type);
}
void convert(Projection& projection, at::ScalarType type) {
  if (projection.bias.defined()) projection.bias = projection.bias.to(type).contiguous();
}
void convert(BranchNorms& norms, at::ScalarType type) {
  for (std::optional<Norm>* norm : {&norms.before, &norms.input, &norms.branch, &norms.after}) convert(*norm, type);
}
void convert(MlpWeights& mlp, at::ScalarType type) {
  if (mlp.gate) convert(*mlp.gate, type);
  convert(mlp.up, type);
  convert(mlp.down, type);
}
void convert(BlockWeights& block, at::ScalarType type) {
  for (BranchNorms* norms : {&block.attention_norms, &block.cross_norms, &block.mlp_norms}) convert(*norms, type);
  AttentionWeights& attention = block.attention;
  for (Projection* projection : {&attention.query_key_value, &attention.output}) convert(*projection, type);
  for (std::optional<Norm>* norm : {&attention.query_norm, &attention.key_norm}) convert(*norm, type);
  if (block.cross)
    for (Projection* projection : {&block.cross->query, &block.cross->key_value, &block.cross->output})
      convert(*projection, type);
  if (block.mlp) convert(*block.mlp, type);
  if (!block.experts) return;
  convert(block.experts->router, type);
  for (MlpWeights& expert : block.experts->experts) convert(expert, type);
  if (block.experts->shared) convert(*block.experts->shared, type);
  if (block.experts->shared_gate) convert(*block.experts->shared_gate, type);
}

template <class T>
void pack(const MlpWeights& mlp, Precision precision, MlpForwardMatrices<T>& into) {
  if (mlp.gate) mlp.gate->pack_forward(precision, 0, mlp.gate->out(), into.gate);
  mlp.up.pack_forward(precision, 0, mlp.up.out(), into.up);
  mlp.down.pack_forward(precision, 0, mlp.down.out(), into.down);
}

template <class T>
void pack(const MlpWeights& mlp, Precision precision, MlpBackwardMatrices<T>& into) {
  const Projection gate_up = mlp.gate ? above(*mlp.gate, mlp.up) : mlp.up;
  gate_up.pack_backward(precision, 0, gate_up.out(), into.gate_up);
  mlp.down.pack_backward(precision, 0, mlp.down.out(), into.down);
}

template <class T>
void pack_whole(const Projection& projection, Precision precision, ForwardMatrices<T>&, PackedMatrix<T>& into) {
  projection.pack_forward(precision, 0, projection.out(), into);
}
template <class T>
void pack_whole(const Projection& projection, Precision precision, BackwardMatrices<T>&, PackedMatrix<T>& into) {
  projection.pack_backward(precision, 0, projection.out(), into);
}

/// The matrices of a block for one direction, which `Matrices` says.
template <class T, template <class> class Matrices>
void pack(const BlockWeights& block, Precision precision, Matrices<T>& into) {
  pack_whole(block.attention.query_key_value, precision, into, into.query_key_value);
  pack_whole(block.attention.output, precision, into, into.output);
  if (block.cross) {
    pack_whole(block.cross->query, precision, into, into.cross_query);
    pack_whole(block.cross->key_value, precision, into, into.cross_key_value);
    pack_whole(block.cross->output, precision, into, into.cross_output);
  }
  if (block.mlp) pack(*block.mlp, precision, into.mlp);
  if (!block.experts) return;
  const ExpertsWeights& experts = *block.experts;
  pack_whole(experts.router, precision, into, into.router);
  into.experts.resize(experts.experts.size());
  for (std::size_t e = 0; e < experts.experts.size(); ++e) pack(experts.experts[e], precision, into.experts[e]);
  if (experts.shared) pack(*experts.shared, precision, into.mlp);
  if (experts.shared_gate) pack_whole(*experts.shared_gate, precision, into, into.shared_gate);
}

}  // namespace

template <class T>
PackedBlocks<T>::PackedBlocks(std::vector<BlockWeights> blocks, WeightPolicy policy)
    : blocks_(std::move(blocks)), policy_(policy) {
  for (BlockWeights& block : blocks_) {
    convert(block, c10::CppTypeToScalarType<T>::value);
    kept_.push_back(std::make_unique<Kept>());
  }
}

template <class T>
const ForwardMatrices<T>& PackedBlocks<T>::forward(std::size_t layer, ForwardMatrices<T>& scratch) const {
  return kept_[layer]->forward.get(policy_.resident, scratch,
                                   [&](auto& into) { pack<T>(blocks_[layer], policy_.forward, into); });
}

template <class T>
const BackwardMatrices<T>& PackedBlocks<T>::backward(std::size_t layer, BackwardMatrices<T>& scratch) const {
  return kept_[layer]->backward.get(policy_.resident, scratch,
                                    [&](auto& into) { pack<T>(blocks_[layer], policy_.backward, into); });
}

template class PackedBlocks<float>;
template class PackedBlocks<double>;

}  // namespace whence::transformer
