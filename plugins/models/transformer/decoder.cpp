#include "decoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>

#include "finite.h"
#include "norm.h"

namespace whence::transformer {
namespace {

BlockShape shape_of(const DecoderConfig& config, const LayerConfig& layer) {
  BlockShape shape;
  shape.hidden = config.hidden;
  shape.inner = config.inner;
  shape.attention = {config.heads, config.key_value_heads, config.head_size, layer.window};
  shape.activation = config.activation;
  shape.norm_epsilon = config.norm_epsilon;
  shape.rotary = layer.rotary;
  return shape;
}

}  // namespace

template <class T>
Decoder<T>::Decoder(DecoderConfig config, DecoderWeights weights, Rotary rotary, WeightPolicy policy)
    : config_(std::move(config)),
      embedding_(std::move(weights.embedding)),
      blocks_(std::move(weights.blocks), policy),
      final_norm_(std::move(weights.final_norm)),
      head_(std::move(weights.head), policy),
      rotary_(std::move(rotary)) {
  for (const LayerConfig& layer : config_.layers) shapes_.push_back(shape_of(config_, layer));
}

template <class T>
Tensor Decoder<T>::embed(const Tensor& ids) const {
  Tensor result = at::empty({ids.numel(), config_.hidden}, c10::CppTypeToScalarType<T>::value);
  const Tensor packed = ids.contiguous();
  for (std::int64_t i = 0; i < packed.numel(); ++i)
    embedding_.read_row(packed.const_data_ptr<std::int64_t>()[i], result.mutable_data_ptr<T>() + i * config_.hidden);
  return result;
}

template <class T>
Tensor Decoder<T>::run(const Tensor& embeddings, const DecoderPass& pass) const {
  const RowLayout& layout = pass.layout;
  const RowAngles<T> angles(rotary_, pass.lengths, layout);
  const std::int64_t longest = *std::max_element(pass.lengths.begin(), pass.lengths.end());
  if (pass.trace) {
    pass.trace->layout = layout;
    pass.trace->lengths = pass.lengths;
    pass.trace->blocks.resize(shapes_.size());
  }
  if (pass.keep) {
    pass.keep->key_column = shapes_.front().attention.queries();
    pass.keep->value_column = pass.keep->key_column + shapes_.front().attention.keys();
    for (const Segment& segment : layout.segments) {
      pass.keep->first_row.push_back(segment.row);
      pass.keep->length.push_back(segment.count);
    }
  }
  Tensor x = embeddings.clone();
  require_finite_inputs<T>(x);
  ForwardMatrices<T> scratch;
  for (std::size_t i = 0; i < shapes_.size(); ++i) {
    const BlockForward<T> block(shapes_[i], blocks_.weights()[i], blocks_.forward(i, scratch));
    BlockTrace* trace = pass.trace ? &pass.trace->blocks[i] : nullptr;
    if (pass.block_inputs) pass.block_inputs->push_back(x.clone());
    const Tensor heads = block.heads(x, shapes_[i].rotary ? &angles : nullptr, trace);
    if (pass.keep) pass.keep->layers.push_back(heads);
    Tensor mixed = at::empty({x.size(0), shapes_[i].attention.queries()}, x.options());
    Tensor* weights = nullptr;
    if (pass.attentions)
      weights = &pass.attentions->emplace_back(
          at::zeros({std::ssize(layout.segments), config_.heads, longest, longest}, x.options()));
    attend<T>(shapes_[i].attention, layout, i, heads, mixed, weights);
    block.finish(mixed, x, trace);
    require_finite_states<T>(x, i);
  }
  return x;
}

template <class T>
Tensor Decoder<T>::normalise_rows(const Tensor& states, Tensor* inverse) const {
  const Tensor rows = states.contiguous();
  Tensor result = at::empty_like(rows);
  const std::int64_t count = rows.size(0), size = rows.size(1);
  if (inverse) *inverse = at::empty({count}, rows.options());
  for (std::int64_t r = 0; r < count; ++r) {
    const T scale = normalise(rows.const_data_ptr<T>() + r * size, size, config_.norm_epsilon,
                              result.mutable_data_ptr<T>() + r * size);
    if (inverse) inverse->mutable_data_ptr<T>()[r] = scale;
  }
  return result;
}

template class Decoder<float>;
template class Decoder<double>;

}  // namespace whence::transformer
