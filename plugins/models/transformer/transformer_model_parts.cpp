// A model's blocks in parts, one text at a time.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>

#include <numeric>

#include "padded_batch.h"
#include "pass_layout.h"
#include "transformer_model.h"

namespace whence::transformer {

void TransformerModel::for_texts(const Inputs& inputs, const std::vector<std::int64_t>& ends, bool weights_only,
                                 const BlockDecomposition::Visitor& visit,
                                 const std::function<void(std::int64_t text, const TextPass& pass)>& body) const {
  const auto lengths = text_lengths(inputs);
  const auto source_lengths =
      encoder_ ? checked_lengths(inputs.source, encoder_->config().positions) : std::vector<std::int64_t>();
  const auto rows_of = [&](Side side, std::int64_t text, std::int64_t rows) {
    RowLayout layout;
    layout.add({text, 0, 0, rows});
    return input_rows(inputs, side, layout, side == Side::target ? lengths : source_lengths);
  };
  for (std::int64_t text = 0; text < std::ssize(ends); ++text) {
    const std::int64_t rows = ends[static_cast<std::size_t>(text)];
    if (rows == 0) continue;
    const std::int64_t length = lengths[static_cast<std::size_t>(text)];
    TextPass pass{*decoder_, length, rows_of(Side::target, text, rows), nullptr, weights_only};
    KeyValues source;
    if (encoder_) {
      const std::int64_t count = source_lengths[static_cast<std::size_t>(text)];
      const TextPass of_source{*encoder_, count, rows_of(Side::source, text, count), nullptr, weights_only || !visit};
      const Tensor states = visit_parts(of_source, [&](const BlockParts& parts) {
        if (!visit) return;
        BlockParts shown = parts;
        shown.side = Side::source;
        shown.sequence = text;
        visit(shown);
      });
      source = source_key_values(encoder_->final_states(states), whole_texts({count}));
      pass.source = &source;
      counters_.forward_rows += count;
    }
    ++counters_.forward_passes;
    counters_.forward_rows += rows;
    body(text, pass);
  }
}

void TransformerModel::decompose(const Inputs& inputs, const BlockDecomposition::Request& request,
                                 const BlockDecomposition::Visitor& visit) const {
  const c10::InferenceMode normal_mode(false);
  const at::NoGradGuard no_grad;
  const auto lengths = text_lengths(inputs);
  const auto ends = needed_ends(read_rows(request.positions, lengths), lengths, false);
  for_texts(inputs, ends, request.weights_only, visit, [&](std::int64_t text, const TextPass& pass) {
    visit_parts(pass, [&](const BlockParts& parts) {
      BlockParts shown = parts;
      shown.sequence = text;
      visit(shown);
    });
  });
}

StreamDirections TransformerModel::directions(const Inputs& inputs, const Tensor& positions,
                                              const std::function<Tensor(const Tensor&)>& cotangents) const {
  const c10::InferenceMode normal_mode(false);
  const at::NoGradGuard no_grad;
  const auto lengths = text_lengths(inputs);
  std::vector<ReadRow> read = read_rows(positions, lengths);
  const std::int64_t batch = positions.size(0), steps = positions.size(1), hidden = info_.hidden;
  const Tensor asked = positions.clamp_min(0), exist = (positions >= 0).unsqueeze(-1);
  std::vector<StreamAtRows> streams(static_cast<std::size_t>(batch));
  Tensor states = at::zeros({batch, steps, hidden});
  for_texts(inputs, needed_ends(read, lengths, false), false, {}, [&](std::int64_t text, const TextPass& pass) {
    streams[static_cast<std::size_t>(text)] = stream_at(pass, asked[text]);
    states[text].copy_(streams[static_cast<std::size_t>(text)].output);
  });
  PassTrace trace;
  Tensor logits = decoder_->logits(states.flatten(0, 1), &trace);
  counters_.head_rows += std::ssize(read);
  logits = (logits.view({batch, steps, -1}) * exist).contiguous();
  const Tensor given = cotangents(logits) * exist;
  std::vector<std::int64_t> all(static_cast<std::size_t>(batch * steps));
  std::iota(all.begin(), all.end(), 0);
  const Tensor top = decoder_->through_logits(given.flatten(0, 1).contiguous(), all, trace, /*frozen_norms=*/true)
                         .view({batch, steps, hidden});
  const auto nowhere = [&] { return at::zeros({batch, steps, hidden}); };
  StreamDirections result;
  result.input = nowhere();
  result.states = nowhere();
  for (std::int64_t layer = 0; layer < info_.layers; ++layer)
    result.blocks.push_back({nowhere(), encoder_ ? nowhere() : Tensor(), nowhere()});
  for (std::int64_t text = 0; text < batch; ++text) {
    const StreamAtRows& stream = streams[static_cast<std::size_t>(text)];
    if (stream.blocks.empty()) continue;
    const StreamDirections own = directions_below(stream, top[text], encoder_ != nullptr);
    result.input[text].copy_(own.input);
    result.states[text].copy_(own.states);
    for (std::size_t layer = 0; layer < own.blocks.size(); ++layer) {
      result.blocks[layer].attention[text].copy_(own.blocks[layer].attention);
      if (encoder_) result.blocks[layer].cross[text].copy_(own.blocks[layer].cross);
      result.blocks[layer].output[text].copy_(own.blocks[layer].output);
    }
  }
  result.states *= exist;
  return result;
}

}  // namespace whence::transformer
