#include "block_weights.h"

namespace whence::transformer {

template <class T>
PackedBlocks<T>::PackedBlocks(std::vector<BlockWeights> blocks, WeightPolicy policy)
    : blocks_(std::move(blocks)), policy_(policy) {
  for (std::size_t i = 0; i < blocks_.size(); ++i) kept_.push_back(std::make_unique<Kept>());
}

template <class T>
const ForwardMatrices<T>& PackedBlocks<T>::forward(std::size_t layer, ForwardMatrices<T>& scratch) const {
  return kept_[layer]->forward.get(policy_.resident, scratch, [&](auto& into) { pack(blocks_[layer], into); });
}

template <class T>
const BackwardMatrices<T>& PackedBlocks<T>::backward(std::size_t layer, BackwardMatrices<T>& scratch) const {
  return kept_[layer]->backward.get(policy_.resident, scratch, [&](auto& into) { pack(blocks_[layer], into); });
}

template <class T>
void PackedBlocks<T>::pack(const BlockWeights& block, ForwardMatrices<T>& into) const {
  const auto whole = [&](const Projection& projection, PackedMatrix<T>& matrix) {
    projection.pack_forward(policy_.forward, 0, projection.out(), matrix);
  };
  whole(block.query_key_value, into.query_key_value);
  whole(block.output, into.output);
  whole(block.gate, into.gate);
  whole(block.up, into.up);
  whole(block.down, into.down);
}

template <class T>
void PackedBlocks<T>::pack(const BlockWeights& block, BackwardMatrices<T>& into) const {
  const auto whole = [&](const Projection& projection, PackedMatrix<T>& matrix) {
    projection.pack_backward(policy_.backward, 0, projection.out(), matrix);
  };
  whole(block.query_key_value, into.query_key_value);
  whole(block.output, into.output);
  whole(block.down, into.down);
  Projection gate_up = block.gate;
  gate_up.parts.insert(gate_up.parts.end(), block.up.parts.begin(), block.up.parts.end());
  whole(gate_up, into.gate_up);
}

template class PackedBlocks<float>;
template class PackedBlocks<double>;

}  // namespace whence::transformer
