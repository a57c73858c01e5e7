#pragma once

#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "decoder_pull_back.h"

namespace whence::transformer {

/// Whole texts through a decoder of the engine and back, as a model does it.
template <class T>
class TracedDecoder {
 public:
  /// `embeddings` [L,E] of each text; `positions` of its steps, as many for each text, -1 where there is none.
  TracedDecoder(const Decoder<T>& decoder, const std::vector<Tensor>& embeddings,
                const std::vector<std::vector<std::int64_t>>& positions)
      : decoder_(decoder), steps_(std::ssize(positions.front())) {
    RowLayout layout;
    std::vector<std::int64_t> lengths, rows, places;
    for (std::int64_t b = 0; b < std::ssize(embeddings); ++b) {
      lengths.push_back(embeddings[static_cast<std::size_t>(b)].size(0));
      layout.add({b, 0, 0, lengths.back()});
      const auto& read = positions[static_cast<std::size_t>(b)];
      for (std::int64_t t = 0; t < steps_; ++t) {
        const std::int64_t position = read[static_cast<std::size_t>(t)];
        if (position < 0) continue;
        rows.push_back(layout.segments.back().row + position);
        places.push_back(b * steps_ + t);
        trace_.read.push_back({b, t, position, rows.back()});
      }
    }
    StackPass pass{layout, lengths};
    pass.trace = &trace_.stack;
    states_ = decoder.run(at::cat(embeddings), pass);
    const Tensor read_logits = decoder.logits(states_.index_select(0, at::tensor(rows, at::kLong)), &trace_);
    logits_ = at::zeros({std::ssize(embeddings) * steps_, read_logits.size(1)}, states_.options());
    logits_.index_copy_(0, at::tensor(places, at::kLong), read_logits);
    logits_ = logits_.view({std::ssize(embeddings), steps_, -1});
  }

  const PassTrace& trace() const { return trace_; }
  const Tensor& logits() const { return logits_; }  ///< [B,T,V]
  const Tensor& states() const { return states_; }  ///< [R,D] what comes out of the last block

  /// Gradients [L,T',D] at each of the layers, then [L,T',E] at the embeddings, of every text.
  std::vector<std::vector<Tensor>> gradients(const Tensor& cotangents, std::int64_t first_step,
                                             const std::vector<std::int64_t>& layers,
                                             const DecoderRules& rules = {}) const {
    const PackedCotangents packed =
        pull_back<T>(decoder_, /*encoder=*/nullptr, trace_, cotangents, first_step, {true, layers}, {}, rules).target;
    std::vector<std::vector<Tensor>> result;
    for (const Tensor& layer : packed.layers) result.push_back(unpacked(packed, layer, cotangents.size(1)));
    result.push_back(unpacked(packed, packed.embeddings, cotangents.size(1)));
    return result;
  }

 private:
  std::vector<Tensor> unpacked(const PackedCotangents& packed, const Tensor& rows, std::int64_t steps) const {
    std::vector<Tensor> result;
    for (const Segment& segment : trace_.stack.layout.segments)
      result.push_back(at::zeros({segment.count, steps, rows.size(1)}, rows.options()));
    for (const CotangentSteps& text : packed.texts)
      for (std::int64_t i = 0; i < std::ssize(text.offset); ++i)
        for (std::int64_t k = text.active[static_cast<std::size_t>(i)]; k < std::ssize(text.step); ++k)
          result[static_cast<std::size_t>(text.segment)][i][text.step[static_cast<std::size_t>(k)]].copy_(
              rows[text.row(i, k)]);
    return result;
  }

  const Decoder<T>& decoder_;
  std::int64_t steps_;
  PassTrace trace_;
  Tensor states_, logits_;
};

}  // namespace whence::transformer
