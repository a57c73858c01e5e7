#include "decoder_pull_back.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>

#include "norm.h"

namespace whence::transformer {
namespace {

/// Packs the steps of the request, and notes which traced row each packed row belongs to.
class Packing {
 public:
  /// `read` are indices into trace.read.
  Packing(const PassTrace& trace, const std::vector<std::int64_t>& read, std::int64_t first_step) : trace_(trace) {
    const RowLayout& layout = trace.decoder.layout;
    std::vector<std::int64_t> order = read;
    std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
      const ReadRow &x = trace.read[static_cast<std::size_t>(a)], &y = trace.read[static_cast<std::size_t>(b)];
      return std::pair(x.text, x.position) < std::pair(y.text, y.position);
    });
    for (const std::int64_t index : order) {
      const ReadRow& row = trace.read[static_cast<std::size_t>(index)];
      if (texts_.empty() || layout.segments[static_cast<std::size_t>(texts_.back().segment)].text != row.text) {
        CotangentSteps text;
        text.segment = layout.segment[static_cast<std::size_t>(row.row)];
        texts_.push_back(std::move(text));
      }
      texts_.back().step.push_back(row.step - first_step);
      texts_.back().position.push_back(row.position);
      read_index_.push_back(index);
      read_rows_.push_back(row.row);
    }
    for (CotangentSteps& text : texts_) place(text);
  }

  const std::vector<CotangentSteps>& texts() const { return texts_; }
  std::vector<CotangentSteps> take_texts() { return std::move(texts_); }
  std::int64_t rows() const { return std::ssize(traced_rows_); }
  /// [C] row of the pass.
  const std::vector<std::int64_t>& traced_rows() const { return traced_rows_; }
  /// [S'] the same for the rows where the steps are read, in the order of the texts.
  const std::vector<std::int64_t>& read_rows() const { return read_rows_; }
  /// [S'] index in trace.read.
  const std::vector<std::int64_t>& read_index() const { return read_index_; }
  /// [S'] packed row of each step where it is read.
  const std::vector<std::int64_t>& packed_read_rows() const { return packed_read_rows_; }

 private:
  void place(CotangentSteps& text) {
    const Segment& segment = trace_.decoder.layout.segments[static_cast<std::size_t>(text.segment)];
    text.first_row = rows();
    const std::int64_t last = text.position.back(), steps = std::ssize(text.step);
    std::int64_t before = 0, offset = 0;
    for (std::int64_t position = segment.start; position <= last; ++position) {
      while (text.position[static_cast<std::size_t>(before)] < position) ++before;
      text.offset.push_back(offset);
      text.active.push_back(before);
      offset += steps - before;
      traced_rows_.insert(traced_rows_.end(), static_cast<std::size_t>(steps - before),
                          segment.row + position - segment.start);
    }
    for (std::int64_t k = 0; k < steps; ++k)
      packed_read_rows_.push_back(text.row(text.position[static_cast<std::size_t>(k)] - segment.start, k));
  }

  const PassTrace& trace_;
  std::vector<CotangentSteps> texts_;
  std::vector<std::int64_t> traced_rows_, read_rows_, read_index_, packed_read_rows_;
};

Tensor index_tensor(const std::vector<std::int64_t>& numbers) { return at::tensor(numbers, at::kLong); }

/// Cotangents of the states that the head reads: through head and final norm, [S',D].
template <class T>
Tensor at_read_rows(const Decoder<T>& decoder, const PassTrace& trace, const Packing& packing, const Tensor& cotangents,
                    std::int64_t first_step, bool frozen) {
  const std::int64_t steps = cotangents.size(1), hidden = decoder.config().hidden;
  std::vector<std::int64_t> source;
  for (const std::int64_t index : packing.read_index()) {
    const ReadRow& row = trace.read[static_cast<std::size_t>(index)];
    source.push_back(row.text * steps + row.step - first_step);
  }
  const Tensor asked = cotangents.flatten(0, 1).index_select(0, index_tensor(source)).contiguous();
  Tensor normed = decoder.head().pull_back(asked);
  Tensor result = at::zeros_like(normed);
  for (std::int64_t s = 0; s < normed.size(0); ++s) {
    const std::int64_t traced = packing.read_index()[static_cast<std::size_t>(s)];
    add_norm_pull_back(trace.final_normed.const_data_ptr<T>() + traced * hidden,
                       trace.final_inverse.const_data_ptr<T>()[traced], frozen, hidden,
                       normed.mutable_data_ptr<T>() + s * hidden, result.mutable_data_ptr<T>() + s * hidden);
  }
  return result;
}

/// [S',X] at the packed rows where the steps are read, zeros elsewhere: [C,X].
Tensor spread(const Tensor& rows, const Packing& packing) {
  return at::zeros({packing.rows(), rows.size(1)}, rows.options())
      .index_copy_(0, index_tensor(packing.packed_read_rows()), rows);
}

}  // namespace

template <class T>
PackedCotangents pull_back(const Decoder<T>& decoder, const PassTrace& trace, const Tensor& cotangents,
                           std::int64_t first_step, const std::vector<std::int64_t>& layers,
                           const DecoderRules& rules) {
  std::vector<std::int64_t> read;
  for (std::int64_t i = 0; i < std::ssize(trace.read); ++i) {
    const std::int64_t step = trace.read[static_cast<std::size_t>(i)].step;
    if (step >= first_step && step < first_step + cotangents.size(1)) read.push_back(i);
  }
  Packing packing(trace, read, first_step);
  PackedCotangents result;
  result.layers.resize(layers.size());
  if (read.empty()) return result;
  const RowLayout& layout = trace.decoder.layout;
  const auto layer_count = static_cast<std::int64_t>(trace.decoder.blocks.size());
  const RowAngles<T> angles(decoder.rotary(), trace.decoder.lengths, layout);
  const auto keep = [&](std::int64_t layer, const Tensor& c) {
    for (std::size_t i = 0; i < layers.size(); ++i)
      if (layers[i] == layer) result.layers[i] = c.clone();
  };

  // In the last block only the rows that the head reads have cotangents until the attention spreads them.
  Tensor c = at_read_rows(decoder, trace, packing, cotangents, first_step, rules.frozen_norms);
  if (std::find(layers.begin(), layers.end(), layer_count) != layers.end()) keep(layer_count, spread(c, packing));
  BackwardMatrices<T> scratch;
  Tensor heads = at::empty({packing.rows(), decoder.shape(0).attention.width()}, c.options());
  for (std::int64_t i = layer_count - 1; i >= 0; --i) {
    const auto layer = static_cast<std::size_t>(i);
    const BlockShape& shape = decoder.shape(layer);
    const BlockTrace& traced = trace.decoder.blocks[layer];
    const BlockRules block_rules{rules.attention, rules.frozen_norms, rules.gate_factor,
                                 rules.reference ? &rules.reference->decoder.blocks[layer] : nullptr};
    const BlockPullBack<T> block(shape, decoder.blocks().weights()[layer], decoder.blocks().backward(layer, scratch),
                                 traced, block_rules);
    const bool read_only = i == layer_count - 1;
    const Tensor mixed = block.through_mlp(c, read_only ? packing.read_rows() : packing.traced_rows());
    if (read_only) c = spread(c, packing);
    attention_pull_back<T>(shape.attention, rules.attention, layout, layer, traced.heads, packing.texts(), read_only,
                           mixed, heads);
    block.through_heads(heads, c, packing.traced_rows(), shape.rotary ? &angles : nullptr);
    keep(i, c);
  }
  result.rows = packing.rows();
  result.texts = packing.take_texts();
  result.embeddings = std::move(c);
  return result;
}

template PackedCotangents pull_back(const Decoder<float>&, const PassTrace&, const Tensor&, std::int64_t,
                                    const std::vector<std::int64_t>&, const DecoderRules&);
template PackedCotangents pull_back(const Decoder<double>&, const PassTrace&, const Tensor&, std::int64_t,
                                    const std::vector<std::int64_t>&, const DecoderRules&);

}  // namespace whence::transformer
