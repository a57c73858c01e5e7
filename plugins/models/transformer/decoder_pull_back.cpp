#include "decoder_pull_back.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>

#include "finite.h"

namespace whence::transformer {
namespace {

/// Which traced row each packed row of cotangents belongs to.
struct PackedRows {
  std::vector<CotangentSteps> texts;
  std::vector<std::int64_t> traced;  ///< [C] row of the pass

  std::int64_t rows() const { return std::ssize(traced); }
};

/// Packs the steps of the request.
class Packing {
 public:
  /// `read` are indices into trace.read; so many neighbouring steps as are `together` are carried as one.
  Packing(const PassTrace& trace, const std::vector<std::int64_t>& read, std::int64_t first_step, std::int64_t together)
      : trace_(trace), together_(together) {
    const RowLayout& layout = trace.stack.layout;
    std::vector<Carried> carried;
    for (const std::int64_t index : read) {
      const ReadRow& row = trace.read[static_cast<std::size_t>(index)];
      const std::int64_t step = (row.step - first_step) / together;
      if (carried.empty() || carried.back().text != row.text || carried.back().step != step)
        carried.push_back({.text = row.text, .step = step});
      carried.back().last = std::max(carried.back().last, row.position);
      carried.back().read.push_back(index);
    }
    std::stable_sort(carried.begin(), carried.end(), [](const Carried& a, const Carried& b) {
      return std::pair(a.text, a.last) < std::pair(b.text, b.last);
    });
    std::vector<CotangentSteps>& texts = packed_.texts;
    for (const Carried& one : carried) {
      const ReadRow& first = trace.read[static_cast<std::size_t>(one.read.front())];
      if (texts.empty() || layout.segments[static_cast<std::size_t>(texts.back().segment)].text != one.text) {
        CotangentSteps text;
        text.segment = layout.segment[static_cast<std::size_t>(first.row)];
        texts.push_back(std::move(text));
      }
      texts.back().step.push_back(one.step);
      texts.back().position.push_back(one.last);
      for (const std::int64_t index : one.read) {
        read_index_.push_back(index);
        read_rows_.push_back(trace.read[static_cast<std::size_t>(index)].row);
      }
    }
    auto of_text = carried.begin();
    for (CotangentSteps& text : texts) {
      place(text, &*of_text);
      of_text += std::ssize(text.step);
    }
  }

  const PackedRows& packed() const { return packed_; }
  /// Whether every step is read at one row alone.
  bool single() const { return together_ == 1; }
  /// [S'] row of the pass where each step is read, in the order of the texts.
  const std::vector<std::int64_t>& read_rows() const { return read_rows_; }
  /// [S'] index in trace.read.
  const std::vector<std::int64_t>& read_index() const { return read_index_; }
  /// [S'] packed row of each step where it is read, no two the same.
  const std::vector<std::int64_t>& packed_read_rows() const { return packed_read_rows_; }

 private:
  /// What is carried as one step, and the rows that it is read at.
  struct Carried {
    std::int64_t text = 0, step = 0, last = 0;
    std::vector<std::int64_t> read = {};  ///< indices in trace.read
  };

  void place(CotangentSteps& text, const Carried* carried) {
    const Segment& segment = trace_.stack.layout.segments[static_cast<std::size_t>(text.segment)];
    text.first_row = packed_.rows();
    const std::int64_t last = text.position.back(), steps = std::ssize(text.step);
    std::int64_t before = 0, offset = 0;
    for (std::int64_t position = segment.start; position <= last; ++position) {
      while (text.position[static_cast<std::size_t>(before)] < position) ++before;
      text.offset.push_back(offset);
      text.active.push_back(before);
      offset += steps - before;
      packed_.traced.insert(packed_.traced.end(), static_cast<std::size_t>(steps - before),
                            segment.row + position - segment.start);
    }
    for (std::int64_t k = 0; k < steps; ++k)
      for (const std::int64_t index : carried[k].read) {
        const std::int64_t position = trace_.read[static_cast<std::size_t>(index)].position;
        packed_read_rows_.push_back(text.row(position - segment.start, k));
      }
  }

  const PassTrace& trace_;
  const std::int64_t together_;
  PackedRows packed_;
  std::vector<std::int64_t> read_rows_, read_index_, packed_read_rows_;
};

/// The same steps over all positions of the sources of their texts.
PackedRows over_sources(const PackedRows& target, const SourceTrace& source) {
  PackedRows result;
  for (const CotangentSteps& text : target.texts) {
    const Segment& of_target = source.seen_from.segments[static_cast<std::size_t>(text.segment)];
    const std::int64_t count = of_target.start, steps = std::ssize(text.step);
    CotangentSteps own;
    own.segment = of_target.prefix_text;
    own.step = text.step;
    own.position.assign(text.step.size(), count - 1);
    own.first_row = result.rows();
    own.active.assign(static_cast<std::size_t>(count), 0);
    const std::int64_t first = source.stack.layout.segments[static_cast<std::size_t>(own.segment)].row;
    for (std::int64_t position = 0; position < count; ++position) {
      own.offset.push_back(position * steps);
      result.traced.insert(result.traced.end(), text.step.size(), first + position);
    }
    result.texts.push_back(std::move(own));
  }
  return result;
}

/// The texts of a decoder as they lie behind the positions of their sources.
std::vector<CotangentSteps> behind_sources(std::vector<CotangentSteps> texts, const SourceTrace& source,
                                           const RowLayout& layout) {
  for (CotangentSteps& text : texts) {
    const auto segment = static_cast<std::size_t>(text.segment);
    const std::int64_t moved = source.seen_from.segments[segment].start - layout.segments[segment].start;
    for (std::int64_t& position : text.position) position += moved;
  }
  return texts;
}

Tensor index_tensor(const std::vector<std::int64_t>& numbers) { return at::tensor(numbers, at::kLong); }

/// Cotangents of the states that the head reads: through head, unless they are `of_states`, and final norm, [S',D].
template <class T>
Tensor at_read_rows(const Decoder<T>& decoder, const PassTrace& trace, const Packing& packing, const Tensor& cotangents,
                    std::int64_t first_step, bool frozen, bool of_states) {
  const std::int64_t steps = cotangents.size(1);
  std::vector<std::int64_t> source;
  for (const std::int64_t index : packing.read_index()) {
    const ReadRow& row = trace.read[static_cast<std::size_t>(index)];
    source.push_back(row.text * steps + row.step - first_step);
  }
  const Tensor asked = cotangents.flatten(0, 1).index_select(0, index_tensor(source));
  if (of_states) return decoder.through_final_norm(asked, packing.read_index(), trace.final_norm, frozen);
  return decoder.through_logits(asked, packing.read_index(), trace, frozen);
}

/// [S',X] at the packed rows where the steps are read, zeros elsewhere: [C,X].
Tensor spread(const Tensor& rows, const Packing& packing) {
  return at::zeros({packing.packed().rows(), rows.size(1)}, rows.options())
      .index_copy_(0, index_tensor(packing.packed_read_rows()), rows);
}

BlockRules rules_of(const DecoderRules& rules, const StackTrace* reference, std::size_t layer) {
  return {rules.attention, rules.frozen_norms, rules.gate_factor, reference ? &reference->blocks[layer] : nullptr};
}

/// The decoder's blocks, last to first. In the last one only the rows that the head reads have cotangents until the
/// attention spreads them. `of_source` [C',D'] takes those of the source's states, packed as `source` says, unless that
/// is null.
template <class T>
class DecoderSweep {
 public:
  DecoderSweep(const Decoder<T>& decoder, const PassTrace& trace, const Packing& packing, const DecoderRules& rules,
               const AttentionVisitor& attentions)
      : decoder_(decoder),
        trace_(trace),
        packing_(packing),
        rules_(rules),
        attentions_(attentions),
        positions_(decoder, trace.stack.lengths, trace.stack.layout) {}

  /// From the cotangents of the read rows, [S',D], through the blocks down to `lowest`; keep(layer, c) is shown those
  /// of every block's input.
  template <class Keep>
  Tensor run(Tensor c, std::int64_t lowest, const PackedRows* source, Tensor& of_source, const Keep& keep) const {
    const PackedRows& packed = packing_.packed();
    const RowLayout& layout = trace_.stack.layout;
    const auto count = static_cast<std::int64_t>(trace_.stack.blocks.size());
    const StackTrace* reference = rules_.reference ? &rules_.reference->stack : nullptr;
    const bool crosses = trace_.source.has_value();
    const auto behind = crosses ? behind_sources(packed.texts, *trace_.source, layout) : std::vector<CotangentSteps>();
    BackwardMatrices<T> scratch;
    Tensor heads = at::empty({packed.rows(), decoder_.shape(0).attention.width()}, c.options());
    Tensor queries = at::empty({crosses ? packed.rows() : 0, decoder_.shape(0).cross.queries()}, c.options());
    for (std::int64_t i = count - 1; i >= lowest; --i) {
      const auto layer = static_cast<std::size_t>(i);
      const BlockShape& shape = decoder_.shape(layer);
      const BlockTrace& traced = trace_.stack.blocks[layer];
      const BlockRules rules = rules_of(rules_, reference, layer);
      const BlockPullBack<T> block(shape, decoder_.blocks().weights()[layer],
                                   decoder_.blocks().backward(layer, scratch), traced, rules);
      bool read_only = i == count - 1;
      Tensor mixed = block.through_mlp(c, read_only ? packing_.read_rows() : packed.traced);
      if (read_only) c = spread(c, packing_);
      if (read_only && !packing_.single()) {
        // A step may have further rows with cotangents before the last one.
        mixed = spread(mixed, packing_);
        read_only = false;
      }
      if (crosses) {
        if (attentions_)
          visit_attention_gradients<T>(shape.cross, nullptr, rules.attention, trace_.source->seen_from, layer,
                                       traced.cross_queries, behind, read_only, mixed,
                                       {.keys = Side::source, .layer = i}, attentions_);
        std::optional<PrefixCotangents> of_keys;
        if (source) {
          of_keys.emplace(at::empty({source->rows(), 2 * shape.cross.keys()}, c.options()));
          for (const CotangentSteps& text : source->texts) of_keys->first_row.push_back(text.first_row);
        }
        attention_pull_back<T>(shape.cross, nullptr, rules.attention, trace_.source->seen_from, layer,
                               traced.cross_queries, behind, read_only, mixed, queries, of_keys ? &*of_keys : nullptr);
        if (of_keys) block.through_key_values(of_keys->rows, of_source);
        mixed = block.through_cross(queries, c, packed.traced);
        read_only = false;
      }
      if (attentions_)
        visit_attention_gradients<T>(shape.attention, positions_.bias(layer), rules.attention, layout, layer,
                                     traced.heads, packed.texts, read_only, mixed, {.layer = i}, attentions_);
      attention_pull_back<T>(shape.attention, positions_.bias(layer), rules.attention, layout, layer, traced.heads,
                             packed.texts, read_only, mixed, heads);
      block.through_heads(heads, c, packed.traced, positions_.angles(layer));
      require_finite_gradients<T>(c, i);
      keep(i, c);
    }
    return c;
  }

 private:
  const Decoder<T>& decoder_;
  const PassTrace& trace_;
  const Packing& packing_;
  const DecoderRules& rules_;
  const AttentionVisitor& attentions_;
  PassPositions<T> positions_;
};

/// From the cotangents [C,D] of an encoder's states to those of the input of block `lowest`; keep as above.
template <class T, class Keep>
Tensor through_encoder(const Stack<T>& encoder, const SourceTrace& trace, const PackedRows& packed, Tensor c,
                       std::int64_t lowest, const DecoderRules& rules, const AttentionVisitor& attentions,
                       const Keep& keep) {
  const RowLayout& layout = trace.stack.layout;
  const PassPositions<T> positions(encoder, trace.stack.lengths, layout);
  const StackTrace* reference = rules.reference ? &rules.reference->source->stack : nullptr;
  c = encoder.through_final_norm(c, packed.traced, trace.final_norm, rules.frozen_norms);
  BackwardMatrices<T> scratch;
  Tensor heads = at::empty({packed.rows(), encoder.shape(0).attention.width()}, c.options());
  const auto count = static_cast<std::int64_t>(encoder.layers());
  keep(count, c);
  for (std::int64_t i = count - 1; i >= lowest; --i) {
    const auto layer = static_cast<std::size_t>(i);
    const BlockShape& shape = encoder.shape(layer);
    const BlockTrace& traced = trace.stack.blocks[layer];
    const BlockRules own = rules_of(rules, reference, layer);
    const BlockPullBack<T> block(shape, encoder.blocks().weights()[layer], encoder.blocks().backward(layer, scratch),
                                 traced, own);
    const Tensor mixed = block.through_mlp(c, packed.traced);
    if (attentions)
      visit_attention_gradients<T>(shape.attention, positions.bias(layer), own.attention, layout, layer, traced.heads,
                                   packed.texts, false, mixed,
                                   {.queries = Side::source, .keys = Side::source, .layer = i}, attentions);
    attention_pull_back<T>(shape.attention, positions.bias(layer), own.attention, layout, layer, traced.heads,
                           packed.texts, false, mixed, heads);
    block.through_heads(heads, c, packed.traced, positions.angles(layer));
    require_finite_gradients<T>(c, i);
    keep(i, c);
  }
  return c;
}

/// keep(layer, c) for a sweep: what is asked for of a layer's cotangents.
auto keeper(const PullBackEnds& ends, PackedCotangents& result) {
  result.layers.resize(ends.layers.size());
  return [&ends, &result](std::int64_t layer, const Tensor& c) {
    for (std::size_t i = 0; i < ends.layers.size(); ++i)
      if (ends.layers[i] == layer) result.layers[i] = c.clone();
  };
}

}  // namespace

std::int64_t PullBackEnds::lowest(std::int64_t first, std::int64_t count) const {
  if (embeddings) return 0;
  std::int64_t result = count;
  for (const std::int64_t layer : layers) result = std::min(result, layer);
  return any() ? result : first;
}

template <class T>
PulledBack pull_back(const Decoder<T>& decoder, const Stack<T>* encoder, const PassTrace& trace,
                     const Tensor& cotangents, std::int64_t first_step, const PullBackEnds& target,
                     const PullBackEnds& source_ends, const DecoderRules& rules, const AttentionVisitor& attentions,
                     bool of_states, std::int64_t together) {
  std::vector<std::int64_t> read;
  for (std::int64_t i = 0; i < std::ssize(trace.read); ++i) {
    const std::int64_t step = trace.read[static_cast<std::size_t>(i)].step;
    if (step >= first_step && step < first_step + cotangents.size(1)) read.push_back(i);
  }
  PulledBack result;
  const auto keep = keeper(target, result.target), keep_source = keeper(source_ends, result.source);
  if (read.empty()) return result;
  const Packing packing(trace, read, first_step, together);
  Tensor c = at_read_rows(decoder, trace, packing, cotangents, first_step, rules.frozen_norms, of_states);
  const auto layer_count = static_cast<std::int64_t>(trace.stack.blocks.size());
  require_finite<T>(c, "head: gradients of hidden states");
  if (std::ranges::find(target.layers, layer_count) != target.layers.end()) keep(layer_count, spread(c, packing));

  std::optional<PackedRows> source;
  Tensor of_source;
  if (encoder) {
    source = over_sources(packing.packed(), *trace.source);
    of_source = at::zeros({source->rows(), encoder->config().hidden}, c.options());
  }
  // Attentions are shown of every block that the pass went through.
  const auto lowest = [&](const PullBackEnds& ends, const StackTrace& traced) {
    return attentions ? traced.first_block : ends.lowest(traced.first_block, std::ssize(traced.blocks));
  };
  const DecoderSweep<T> sweep(decoder, trace, packing, rules, attentions);
  c = sweep.run(std::move(c), lowest(target, trace.stack), source ? &*source : nullptr, of_source, keep);
  if (target.embeddings)
    result.target.embeddings =
        decoder.to_embeddings(std::move(c), packing.packed().traced, trace.stack, rules.frozen_norms);
  result.target.rows = packing.packed().rows();
  result.target.texts = packing.packed().texts;
  if (!encoder) return result;
  const StackTrace& traced = trace.source->stack;
  c = through_encoder(*encoder, *trace.source, *source, std::move(of_source), lowest(source_ends, traced), rules,
                      attentions, keep_source);
  if (source_ends.embeddings)
    result.source.embeddings = encoder->to_embeddings(std::move(c), source->traced, traced, rules.frozen_norms);
  result.source.rows = source->rows();
  result.source.texts = std::move(source->texts);
  return result;
}

template PulledBack pull_back(const Decoder<float>&, const Stack<float>*, const PassTrace&, const Tensor&, std::int64_t,
                              const PullBackEnds&, const PullBackEnds&, const DecoderRules&, const AttentionVisitor&,
                              bool, std::int64_t);
template PulledBack pull_back(const Decoder<double>&, const Stack<double>*, const PassTrace&, const Tensor&,
                              std::int64_t, const PullBackEnds&, const PullBackEnds&, const DecoderRules&,
                              const AttentionVisitor&, bool, std::int64_t);

}  // namespace whence::transformer
