#include "value_zeroing_pass.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <stdexcept>

#include "finite.h"
#include "parallel.h"

namespace whence::transformer {
namespace {

void check_heads(const std::vector<Tensor>& heads, const StackConfig& config) {
  if (!heads.empty() && heads.size() != config.layers.size())
    throw std::invalid_argument("expected the zeroed heads of every layer");
  for (const Tensor& own : heads)
    if (own.scalar_type() != at::kBool || own.numel() != config.attention.heads || !own.is_contiguous())
      throw std::invalid_argument("expected zeroed heads [H] of bool");
}

/// Heads of a layer that are zeroed.
std::vector<std::int64_t> zeroed_heads(const std::vector<Tensor>& heads, std::size_t layer, std::int64_t count) {
  std::vector<std::int64_t> result;
  for (std::int64_t h = 0; h < count; ++h)
    if (heads.empty() || heads[layer].const_data_ptr<bool>()[h]) result.push_back(h);
  return result;
}

/// One attention of a block in a clean pass.
struct Attended {
  const AttentionShape& shape;
  const ScoreBias<float>* bias;
  const RowLayout& layout;
  Tensor rows;    ///< [R,Q] as `attend` takes them
  Tensor mixed;   ///< [R,H*head] what it made of them
  Tensor stream;  ///< [R,D] what this is added to

  const Segment& segment(const ReadRow& read) const {
    return layout.segments[static_cast<std::size_t>(layout.segment[static_cast<std::size_t>(read.row)])];
  }
  /// Positions that a row sees.
  std::int64_t seen(const ReadRow& read) const {
    return shape.end_seen(segment(read), layout.position[static_cast<std::size_t>(read.row)]);
  }
};

/// Mixed values of one read row without the value of each position it sees in turn: [seen, H*head].
void without_each_value(const Attended& clean, std::size_t layer, const ReadRow& read,
                        const std::vector<std::int64_t>& heads, float* out) {
  const AttentionShape& shape = clean.shape;
  const std::int64_t width = shape.queries(), head = shape.head_size, seen = clean.seen(read);
  for (std::int64_t j = 0; j < seen; ++j)
    std::copy_n(clean.mixed.const_data_ptr<float>() + read.row * width, width, out + j * width);
  for (const std::int64_t h : heads) {
    const auto weights = attention_weights<float>(shape, clean.bias, clean.layout, layer, clean.rows, read.row, h);
    const KeyValueRows<float> values(shape, clean.segment(read), layer, clean.rows.const_data_ptr<float>(),
                                     h / (shape.heads / shape.key_value_heads));
    for (std::int64_t j = 0; j < seen; ++j)
      kernels<float>().add_scaled(values.value(j), -weights[static_cast<std::size_t>(j)], head,
                                  out + j * width + h * head);
  }
}

class Zeroing {
 public:
  Zeroing(const Stack<float>& stack, const RowLayout* source, const ValueZeroing::Visitor& visit)
      : stack_(stack), source_(source), visit_(visit) {}

  /// What block `layer` makes of the read rows without one value each, beside its clean output `states`.
  void run(const BlockForward<float>& block, std::size_t layer, const ZeroedAttention& asked, const Attended& clean,
           const Tensor& states) {
    const std::vector<ReadRow>& read = asked.read;
    const auto heads = zeroed_heads(*asked.heads, layer, clean.shape.heads);
    const std::int64_t hidden = states.size(1), width = clean.mixed.size(1);
    for (std::size_t first = 0; first < read.size() && !heads.empty();) {
      std::size_t end = first;
      std::vector<std::int64_t> offset{0};
      do offset.push_back(offset.back() + clean.seen(read[end++]));
      while (end < read.size() && offset.back() + clean.seen(read[end]) <= kZeroedRowsTogether);
      Tensor changed = at::empty({offset.back(), width}, states.options());
      Tensor stream = at::empty({offset.back(), hidden}, states.options());
      run_tasks(static_cast<std::int64_t>(end - first), [&](std::int64_t task, std::int64_t) {
        const ReadRow& row = read[first + static_cast<std::size_t>(task)];
        const std::int64_t at = offset[static_cast<std::size_t>(task)];
        without_each_value(clean, layer, row, heads, changed.mutable_data_ptr<float>() + at * width);
        for (std::int64_t j = 0; j < clean.seen(row); ++j)
          std::copy_n(clean.stream.const_data_ptr<float>() + row.row * hidden, hidden,
                      stream.mutable_data_ptr<float>() + (at + j) * hidden);
      });
      if (source_ && asked.attention == ValueZeroing::Attention::target)
        changed = through_source(block, layer, clean, read, first, end, changed, stream);
      block.finish(changed, stream, nullptr);
      rows_of_layers += offset.back();
      const Tensor zeroed = final(stream, layer);
      for (std::size_t k = first; k < end; ++k) {
        const Tensor own = final(states.narrow(0, read[k].row, 1), layer).squeeze(0);
        const Tensor rows = zeroed.narrow(0, offset[k - first], offset[k - first + 1] - offset[k - first]);
        visit_({asked.attention, static_cast<std::int64_t>(layer), read[k].text, read[k].step, own, rows});
      }
      first = end;
    }
  }

  std::int64_t rows_of_layers = 0;

 private:
  /// Changed mixtures of the first attention go on to the second one: what that mixes.
  Tensor through_source(const BlockForward<float>& block, std::size_t layer, const Attended& clean,
                        const std::vector<ReadRow>& read, std::size_t first, std::size_t end, const Tensor& changed,
                        Tensor& stream) const {
    RowLayout behind;
    for (std::size_t k = first; k < end; ++k) {
      const Segment& of_text = source_->segments[static_cast<std::size_t>(read[k].text)];
      behind.add(
          {of_text.text, 0, of_text.start, clean.seen(read[k]), of_text.prefix, of_text.prefix_text, of_text.unseen});
    }
    const Tensor queries = block.cross_queries(changed, stream, nullptr);
    Tensor mixed = at::empty_like(queries);
    attend<float>(stack_.shape(layer).cross, nullptr, behind, layer, queries, mixed);
    return mixed;
  }

  Tensor final(const Tensor& states, std::size_t layer) const {
    return layer + 1 == stack_.layers() ? stack_.final_states(states) : states;
  }

  const Stack<float>& stack_;
  const RowLayout* source_;
  const ValueZeroing::Visitor& visit_;
};

}  // namespace

ZeroedPass visit_zeroed_values(const Stack<float>& stack, const RowLayout& layout,
                               const std::vector<std::int64_t>& lengths, const Tensor& embeddings,
                               const RowLayout* source, const std::vector<ZeroedAttention>& asked,
                               const ValueZeroing::Visitor& visit) {
  for (const ZeroedAttention& one : asked) check_heads(*one.heads, stack.config());
  const PassPositions<float> positions(stack, lengths, layout);
  Tensor x = stack.first_states(embeddings, layout, nullptr);
  ForwardMatrices<float> scratch;
  Zeroing zeroing(stack, source, visit);
  for (std::size_t layer = 0; layer < stack.layers(); ++layer) {
    const BlockShape& shape = stack.shape(layer);
    const BlockForward<float> block(shape, stack.blocks().weights()[layer], stack.blocks().forward(layer, scratch));
    const auto attended = [&](const AttentionShape& attention, const ScoreBias<float>* bias, const RowLayout& rows_of,
                              const Tensor& rows) {
      Attended result{attention, bias, rows_of, rows, at::empty({x.size(0), attention.queries()}, x.options()),
                      x.clone()};
      attend<float>(attention, bias, rows_of, layer, rows, result.mixed);
      return result;
    };
    const Attended own =
        attended(shape.attention, positions.bias(layer), layout, block.heads(x, positions.angles(layer), nullptr));
    std::optional<Attended> cross;
    if (source) cross.emplace(attended(shape.cross, nullptr, *source, block.cross_queries(own.mixed, x, nullptr)));
    block.finish(cross ? cross->mixed : own.mixed, x, nullptr);
    require_finite_states<float>(x, layer);
    for (const ZeroedAttention& one : asked)
      zeroing.run(block, layer, one, one.attention == ValueZeroing::Attention::cross ? *cross : own, x);
  }
  return {x, layout.rows() + zeroing.rows_of_layers / static_cast<std::int64_t>(stack.layers())};
}

}  // namespace whence::transformer
