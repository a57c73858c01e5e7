#include "value_zeroing_pass.h"

#include <ATen/ops/empty.h>

#include <stdexcept>

#include "finite.h"
#include "parallel.h"

namespace whence::transformer {
namespace {

/// Heads of a layer that are zeroed.
std::vector<std::int64_t> zeroed_heads(const std::vector<Tensor>& heads, std::size_t layer, std::int64_t count) {
  std::vector<std::int64_t> result;
  for (std::int64_t h = 0; h < count; ++h)
    if (heads.empty() || heads[layer].const_data_ptr<bool>()[h]) result.push_back(h);
  return result;
}

/// Mixed values of one read row without the value of each position it sees in turn: [position + 1, H*head].
void without_each_value(const AttentionShape& shape, const ScoreBias<float>* bias, const RowLayout& layout,
                        std::size_t layer, const Tensor& rows, const Tensor& mixed, const ReadRow& read,
                        const std::vector<std::int64_t>& heads, float* out) {
  const std::int64_t width = shape.queries(), head = shape.head_size, seen = read.position + 1;
  for (std::int64_t j = 0; j < seen; ++j)
    std::copy_n(mixed.const_data_ptr<float>() + read.row * width, width, out + j * width);
  const Segment& segment =
      layout.segments[static_cast<std::size_t>(layout.segment[static_cast<std::size_t>(read.row)])];
  for (const std::int64_t h : heads) {
    const auto weights = attention_weights<float>(shape, bias, layout, layer, rows, read.row, h);
    const KeyValueRows<float> source(shape, segment, layer, rows.const_data_ptr<float>(),
                                     h / (shape.heads / shape.key_value_heads));
    for (std::int64_t j = 0; j < seen; ++j)
      kernels<float>().add_scaled(source.value(j), -weights[static_cast<std::size_t>(j)], head,
                                  out + j * width + h * head);
  }
}

}  // namespace

std::int64_t visit_zeroed_values(const Decoder<float>& decoder, const RowLayout& layout,
                                 const std::vector<std::int64_t>& lengths, const Tensor& embeddings,
                                 const std::vector<ReadRow>& read, const std::vector<Tensor>& heads,
                                 const ValueZeroing::Visitor& visit) {
  const std::int64_t layers = std::ssize(decoder.config().layers), head_count = decoder.config().attention.heads;
  if (!heads.empty() && std::ssize(heads) != layers)
    throw std::invalid_argument("expected the zeroed heads of every layer");
  for (const Tensor& own : heads)
    if (own.scalar_type() != at::kBool || own.numel() != head_count || !own.is_contiguous())
      throw std::invalid_argument("expected zeroed heads [H] of bool");
  const PassPositions<float> positions(decoder, lengths, layout);
  Tensor x = decoder.first_states(embeddings, layout, nullptr);
  ForwardMatrices<float> scratch;
  std::int64_t rows_of_layers = layers * layout.rows();
  for (std::int64_t i = 0; i < layers; ++i) {
    const auto layer = static_cast<std::size_t>(i);
    const BlockShape& shape = decoder.shape(layer);
    const BlockForward<float> block(shape, decoder.blocks().weights()[layer], decoder.blocks().forward(layer, scratch));
    const Tensor rows = block.heads(x, positions.angles(layer), nullptr);
    Tensor mixed = at::empty({x.size(0), shape.attention.queries()}, x.options());
    attend<float>(shape.attention, positions.bias(layer), layout, layer, rows, mixed);
    const Tensor before = x.clone();
    block.finish(mixed, x, nullptr);
    require_finite_states<float>(x, layer);
    const auto state = [&](const Tensor& states) { return i + 1 == layers ? decoder.final_states(states) : states; };

    const std::vector<std::int64_t> own = zeroed_heads(heads, layer, head_count);
    for (std::size_t first = 0; first < read.size() && !own.empty();) {
      std::size_t end = first;
      std::vector<std::int64_t> offset{0};
      do offset.push_back(offset.back() + read[end++].position + 1);
      while (end < read.size() && offset.back() + read[end].position + 1 <= kZeroedRowsTogether);
      Tensor changed = at::empty({offset.back(), mixed.size(1)}, x.options());
      Tensor stream = at::empty({offset.back(), x.size(1)}, x.options());
      run_tasks(static_cast<std::int64_t>(end - first), [&](std::int64_t task, std::int64_t) {
        const ReadRow& row = read[first + static_cast<std::size_t>(task)];
        const std::int64_t at = offset[static_cast<std::size_t>(task)];
        without_each_value(shape.attention, positions.bias(layer), layout, layer, rows, mixed, row, own,
                           changed.mutable_data_ptr<float>() + at * mixed.size(1));
        for (std::int64_t j = 0; j <= row.position; ++j)
          std::copy_n(before.const_data_ptr<float>() + row.row * x.size(1), x.size(1),
                      stream.mutable_data_ptr<float>() + (at + j) * x.size(1));
      });
      block.finish(changed, stream, nullptr);
      rows_of_layers += offset.back();
      const Tensor zeroed = state(stream);
      for (std::size_t k = first; k < end; ++k)
        visit(i, read[k].text, read[k].step, state(x.narrow(0, read[k].row, 1)).squeeze(0),
              zeroed.narrow(0, offset[k - first], read[k].position + 1));
      first = end;
    }
  }
  return rows_of_layers / layers;
}

}  // namespace whence::transformer
