#include "stack.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "finite.h"

namespace whence::transformer {

template <class T>
PassPositions<T>::PassPositions(const Stack<T>& stack, const std::vector<std::int64_t>& lengths,
                                const RowLayout& layout)
    : stack_(stack) {
  for (const Rotary& rotary : stack.rotary()) angles_.emplace_back(rotary, lengths, layout);
  const AttentionConfig& attention = stack.config().attention;
  if (attention.position_bias == PositionBias::none) return;
  std::int64_t longest = 0;
  for (const Segment& segment : layout.segments) longest = std::max(longest, segment.end());
  const bool each = attention.position_bias == PositionBias::relative && attention.relative_in_every_layer;
  for (std::size_t i = 0; i < (each ? stack.layers() : 1); ++i)
    biases_.emplace_back(attention, stack.blocks().weights()[i].attention.relative_bias,
                         stack.shape(0).attention.sight == Sight::causal, longest);
}

template <class T>
const RowAngles<T>* PassPositions<T>::angles(std::size_t layer) const {
  const std::int64_t index = stack_.shape(layer).rotary;
  return index < 0 || angles_.empty() ? nullptr : &angles_[static_cast<std::size_t>(index)];
}

template <class T>
const ScoreBias<T>* PassPositions<T>::bias(std::size_t layer) const {
  return biases_.empty() ? nullptr : &biases_[biases_.size() == 1 ? 0 : layer];
}

template <class T>
Stack<T>::Stack(StackConfig config, StackWeights weights, WeightPolicy policy, Sight sight)
    : config_(std::move(config)),
      embedding_(std::move(weights.embedding)),
      positions_(std::move(weights.positions)),
      embedding_norm_(std::move(weights.embedding_norm)),
      blocks_(std::move(weights.blocks), policy),
      final_norm_(std::move(weights.final_norm)),
      rotary_(std::move(weights.rotary)) {
  for (std::optional<Norm>* norm : {&embedding_norm_, &final_norm_})
    if (*norm) *norm = (*norm)->to(c10::CppTypeToScalarType<T>::value);
  if (weights.project_in) project_in_.emplace(std::move(*weights.project_in), policy);
  for (std::size_t i = 0; i < config_.layers.size(); ++i) shapes_.emplace_back(config_, i, sight);
}

template <class T>
Tensor Stack<T>::embed(const Tensor& ids) const {
  const std::int64_t width = embedding_.in();
  Tensor result = at::empty({ids.numel(), width}, c10::CppTypeToScalarType<T>::value);
  const Tensor packed = ids.contiguous();
  const auto scale = static_cast<T>(config_.embedding_scale);
  for (std::int64_t i = 0; i < packed.numel(); ++i) {
    T* row = result.mutable_data_ptr<T>() + i * width;
    embedding_.read_row(packed.const_data_ptr<std::int64_t>()[i], row);
    if (scale != 1) kernels<T>().scale(row, scale, width, row);
  }
  return result;
}

template <class T>
void Stack<T>::add_positions(const RowLayout& layout, Tensor& x) const {
  const std::int64_t width = x.size(1), half = width / 2;
  std::vector<double> rates;  // of the sinusoids
  const bool pairs = config_.position_embedding == PositionEmbedding::sinusoid_pairs;
  for (std::int64_t i = 0; i < half && !positions_; ++i) {
    const auto index = static_cast<double>(i);
    const double exponent = pairs ? 2 * index / static_cast<double>(width) : index / static_cast<double>(half - 1);
    rates.push_back(std::pow(10000.0, -exponent));
  }
  std::vector<T> row(static_cast<std::size_t>(width), T(0));
  for (std::int64_t r = 0; r < x.size(0); ++r) {
    const std::int64_t position = layout.position[static_cast<std::size_t>(r)] + config_.position_offset;
    if (positions_) positions_->read_row(position, row.data());
    for (std::size_t i = 0; i < rates.size(); ++i) {
      const double angle = static_cast<double>(position) * rates[i];
      row[i] = static_cast<T>(std::sin(angle));
      row[static_cast<std::size_t>(half) + i] = static_cast<T>(std::cos(angle));
    }
    kernels<T>().add_scaled(row.data(), T(1), width, data<T>(x) + r * width);
  }
}

template <class T>
Tensor Stack<T>::norm_rows(const Norm& norm, const Tensor& rows, NormTrace* trace) const {
  const Tensor in = rows.contiguous();
  Tensor result = at::empty_like(in);
  const std::int64_t count = in.size(0), size = in.size(1);
  if (trace) *trace = {at::empty_like(in), at::empty({count}, in.options())};
  for (std::int64_t r = 0; r < count; ++r)
    norm_row(norm, in.const_data_ptr<T>() + r * size, size, trace, r, data<T>(result) + r * size);
  return result;
}

template <class T>
Tensor Stack<T>::first_states(const Tensor& embeddings, const RowLayout& layout, StackTrace* trace) const {
  Tensor x = config_.input_scale == 1 ? embeddings.clone() : embeddings * config_.input_scale;
  if (project_in_) x = project_in_->forward(x);
  if (config_.position_embedding != PositionEmbedding::none) add_positions(layout, x);
  if (embedding_norm_) x = norm_rows(*embedding_norm_, x, trace ? &trace->embedding_norm : nullptr);
  require_finite_inputs<T>(x);
  return x;
}

template <class T>
Tensor Stack<T>::to_embeddings(Tensor c, const std::vector<std::int64_t>& rows, const StackTrace& trace,
                               bool frozen_norms) const {
  if (embedding_norm_) norm_rows_pull_back<T>(*embedding_norm_, trace.embedding_norm, rows, frozen_norms, c);
  if (project_in_) c = project_in_->pull_back(c);
  return config_.input_scale == 1 ? c : c * config_.input_scale;
}

template <class T>
void Stack<T>::drop(const BlockDropout& dropout, DropoutSite site, Tensor& x) const {
  const std::vector<T> factors = dropout.of_rows<T>(site, 0, x.size(0), x.size(1));
  if (!factors.empty()) kernels<T>().multiply(data<T>(x), factors.data(), x.numel(), data<T>(x));
}

template <class T>
Tensor Stack<T>::run(const Tensor& embeddings, const StackPass& pass) const {
  Tensor x = first_states(embeddings, pass.layout, pass.trace);
  drop({pass.dropout, &pass.layout}, DropoutSite::embedding, x);
  return run_blocks(0, std::move(x), pass);
}

template <class T>
Tensor Stack<T>::run_from(std::int64_t first_block, const Tensor& states, const StackPass& pass) const {
  require_finite_inputs<T>(states, first_block);
  return run_blocks(static_cast<std::size_t>(first_block), states.clone(), pass);
}

template <class T>
Tensor Stack<T>::run_blocks(std::size_t first_block, Tensor x, const StackPass& pass) const {
  const RowLayout& layout = pass.layout;
  const PassPositions<T> positions(*this, pass.lengths, layout);
  const std::int64_t longest = *std::max_element(pass.lengths.begin(), pass.lengths.end());
  std::int64_t longest_source = 0;
  if (pass.source)
    for (const Segment& segment : pass.source->segments) longest_source = std::max(longest_source, segment.start);
  if (pass.trace) {
    pass.trace->layout = layout;
    pass.trace->lengths = pass.lengths;
    pass.trace->first_block = static_cast<std::int64_t>(first_block);
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
  const auto show = [&](std::size_t block) {
    if (!pass.states) return;
    for (std::size_t k = 0; k < pass.states->blocks.size(); ++k)
      if (pass.states->blocks[k] == static_cast<std::int64_t>(block)) pass.states->rows[k] = x.clone();
  };
  if (pass.states) pass.states->rows.resize(pass.states->blocks.size());
  const auto weights_of = [&](std::vector<Tensor>* all, std::int64_t keys) -> Tensor* {
    if (!all) return nullptr;
    return &all->emplace_back(
        at::zeros({std::ssize(layout.segments), config_.attention.heads, longest, keys}, x.options()));
  };
  ForwardMatrices<T> scratch;
  for (std::size_t i = first_block; i < shapes_.size(); ++i) {
    show(i);
    const BlockForward<T> block(shapes_[i], blocks_.weights()[i], blocks_.forward(i, scratch),
                                {pass.dropout, &layout, i});
    BlockTrace* trace = pass.trace ? &pass.trace->blocks[i] : nullptr;
    if (pass.block_inputs) pass.block_inputs->push_back(x.clone());
    const Tensor heads = block.heads(x, positions.angles(i), trace);
    if (pass.keep) pass.keep->layers.push_back(heads);
    Tensor mixed = at::empty({x.size(0), shapes_[i].attention.queries()}, x.options());
    attend<T>(shapes_[i].attention, positions.bias(i), layout, i, heads, mixed, weights_of(pass.attentions, longest),
              pass.dropout);
    if (pass.source) {
      const Tensor queries = block.cross_queries(mixed, x, trace);
      attend<T>(shapes_[i].cross, nullptr, *pass.source, i, queries, mixed,
                weights_of(pass.cross_attentions, longest_source), pass.dropout);
    }
    block.finish(mixed, x, trace);
    require_finite_states<T>(x, i);
  }
  show(shapes_.size());
  return x;
}

template <class T>
std::vector<Tensor> Stack<T>::cross_key_values(const Tensor& states) const {
  std::vector<Tensor> result;
  ForwardMatrices<T> scratch;
  for (std::size_t i = 0; i < shapes_.size(); ++i)
    result.push_back(
        BlockForward<T>(shapes_[i], blocks_.weights()[i], blocks_.forward(i, scratch)).cross_key_values(states));
  return result;
}

template <class T>
Tensor Stack<T>::final_states(const Tensor& states, NormTrace* trace, const BlockDropout& dropout) const {
  Tensor x = final_norm_ ? norm_rows(*final_norm_, states, trace) : states;
  drop(dropout, DropoutSite::output, x);
  return x;
}

template <class T>
Tensor Stack<T>::through_final_norm(const Tensor& cotangents, const std::vector<std::int64_t>& rows,
                                    const NormTrace& trace, bool frozen) const {
  if (!final_norm_) return cotangents;
  Tensor result = cotangents.clone();
  norm_rows_pull_back<T>(*final_norm_, trace, rows, frozen, result);
  return result;
}

template class PassPositions<float>;
template class PassPositions<double>;
template class Stack<float>;
template class Stack<double>;

}  // namespace whence::transformer
