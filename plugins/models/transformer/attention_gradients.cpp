#include "attention_gradients.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

namespace whence::transformer {
namespace {

/// Values [H,head,keys] that the heads of a text's queries look at.
template <class T>
Tensor values_of(const AttentionShape& shape, const Segment& segment, std::size_t layer, const Tensor& rows) {
  const std::int64_t keys = shape.end(segment);
  Tensor values = at::empty({shape.key_value_heads, keys, shape.head_size}, rows.options());
  for (std::int64_t group = 0; group < shape.key_value_heads; ++group) {
    const KeyValueRows<T> source(shape, segment, layer, rows.const_data_ptr<T>(), group);
    for (std::int64_t j = 0; j < keys; ++j)
      std::copy_n(source.value(j), shape.head_size,
                  values.mutable_data_ptr<T>() + (group * keys + j) * shape.head_size);
  }
  return values.repeat_interleave(shape.heads / shape.key_value_heads, 0).transpose(1, 2);
}

}  // namespace

template <class T>
void visit_attention_gradients(const AttentionShape& shape, const ScoreBias<T>* bias, const AttentionRules& rules,
                               const RowLayout& layout, std::size_t layer, const Tensor& rows,
                               const std::vector<CotangentSteps>& texts, bool read_only, const Tensor& mixed,
                               const AttentionGradient& kind, const AttentionVisitor& visit) {
  const std::int64_t width = shape.queries();
  std::int64_t steps_before = 0;
  for (const CotangentSteps& text : texts) {
    const Segment& segment = layout.segments[static_cast<std::size_t>(text.segment)];
    RowLayout alone;
    alone.segments = {segment};
    alone.segments.front().text = 0;
    Tensor weights = at::zeros({1, shape.heads, segment.count, shape.end(segment)}, rows.options());
    Tensor again = at::empty({rows.size(0), width}, rows.options());
    attend<T>(shape, bias, alone, layer, rows, again, &weights);
    const Tensor values = values_of<T>(shape, segment, layer, rows);
    for (std::int64_t k = 0; k < std::ssize(text.step); ++k) {
      const std::int64_t last = text.position[static_cast<std::size_t>(k)] - segment.start;
      const std::int64_t keys = shape.sight == Sight::causal ? last + 1 : values.size(2);
      Tensor cotangents = at::zeros({last + 1, width}, mixed.options());
      for (std::int64_t i = read_only ? last : 0; i <= last; ++i)
        std::copy_n(mixed.const_data_ptr<T>() + (read_only ? steps_before + k : text.row(i, k)) * width, width,
                    cotangents.mutable_data_ptr<T>() + i * width);
      const Tensor by_head = cotangents.view({last + 1, shape.heads, shape.head_size}).transpose(0, 1);
      AttentionGradient shown = kind;
      shown.sequence = segment.text;
      shown.step = text.step[static_cast<std::size_t>(k)];
      shown.weights = weights[0].narrow(1, 0, last + 1).narrow(2, 0, keys);
      shown.gradients = at::bmm(by_head, values.narrow(2, 0, keys)) * rules.product_factor;
      visit(shown);
    }
    steps_before += std::ssize(text.step);
  }
}

#define WHENCE_VISIT(T)                                                                                                \
  template void visit_attention_gradients<T>(                                                                          \
      const AttentionShape&, const ScoreBias<T>*, const AttentionRules&, const RowLayout&, std::size_t, const Tensor&, \
      const std::vector<CotangentSteps>&, bool, const Tensor&, const AttentionGradient&, const AttentionVisitor&);
WHENCE_VISIT(float)
WHENCE_VISIT(double)
#undef WHENCE_VISIT

}  // namespace whence::transformer
