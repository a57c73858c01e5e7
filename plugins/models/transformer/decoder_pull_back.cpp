#include "decoder_pull_back.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/zeros.h>

#include <map>

namespace whence::transformer {
namespace {

/// Rows of cotangents that go through a layer together: enough for the matrix products to reach their rate.
constexpr std::int64_t kRowsPerChunk = 4096;
/// Rows of a tile of the MLP, so that its inner cotangents stay in the cache.
constexpr std::int64_t kRowsPerTile = 128;
/// Neighbouring steps carried together. More of them waste rows behind the positions of the earlier ones.
constexpr std::int64_t kStepsPerChunk = 16;
/// Cotangents of attention scores, [H,n,T,n] a sequence, that are held at a time; long texts take fewer steps together.
constexpr std::int64_t kScoresPerChunk = std::int64_t{1} << 26;

/// Some sequences and some of their steps.
struct Chunk {
  std::int64_t first, count;       ///< sequences
  std::int64_t first_step, steps;  ///< steps
  std::int64_t rows;               ///< positions up to the last one that a step reads
};

NormTrace slice(const NormTrace& trace, std::int64_t first, std::int64_t count, std::int64_t rows) {
  return {trace.normed.narrow(0, first, count).narrow(1, 0, rows),
          trace.inverse.narrow(0, first, count).narrow(1, 0, rows)};
}

/// The backward of one chunk through all blocks.
class ChunkPullBack {
 public:
  ChunkPullBack(const Decoder& decoder, const DecoderTrace& trace, const Chunk& chunk)
      : decoder_(decoder), trace_(trace), chunk_(chunk) {
    // The frequencies of the whole pass, which may differ between its sequences.
    rotary_ = decoder.rotary().table(trace.lengths, 0, chunk.rows);
    if (rotary_.cosine.size(0) > 1)
      rotary_ = {rotary_.cosine.narrow(0, chunk.first, chunk.count), rotary_.sine.narrow(0, chunk.first, chunk.count)};
  }

  /// `at_steps` [b,T,D]: cotangents of the last block's output where each step reads it, `positions` [b,T] these places
  /// (any valid one where there is no step and the cotangent is zero). -> [b,rows,T,D].
  Tensor run(const Tensor& at_steps, const Tensor& positions) const {
    Tensor c = last_block(at_steps, positions);
    for (std::size_t i = decoder_.blocks().size() - 1; i-- > 0;) {
      through_mlp(i, c);
      through_attention(i, decoder_.blocks()[i].attention.output.pull_back(c), c);
    }
    return c;
  }

 private:
  /// In the last block only the rows that the head reads have cotangents until the attention spreads them.
  Tensor last_block(const Tensor& at_steps, const Tensor& positions) const {
    const std::size_t last = decoder_.blocks().size() - 1;
    const Block& block = decoder_.blocks()[last];
    const BlockTrace& trace = trace_.blocks[last];
    const auto read = [&](const Tensor& rows) {  // [B,n,X] -> [b*T,X]
      const Tensor mine = rows.narrow(0, chunk_.first, chunk_.count);
      return mine.gather(1, positions.unsqueeze(-1).expand({-1, -1, rows.size(2)})).flatten(0, 1);
    };
    Tensor c = at_steps.flatten(0, 1).unsqueeze(1);  // [b*T,1,D]: one cotangent for each row
    const MlpTrace mlp{read(trace.mlp.gate_slope), read(trace.mlp.activated)};
    const NormTrace norm{read(trace.mlp_norm.normed), read(trace.mlp_norm.inverse)};
    c = c + block.mlp_norm.pull_back(norm, block.mlp.pull_back(mlp, c));
    Tensor spread = scatter(c, positions);
    through_attention(last, scatter(block.attention.output.pull_back(c), positions), spread);
    return spread;
  }

  /// [b*T,1,X] -> [b,rows,T,X], row (b,t) at its position, zero elsewhere.
  Tensor scatter(const Tensor& rows, const Tensor& positions) const {
    const std::int64_t width = rows.size(-1);
    Tensor result = at::zeros({chunk_.count, chunk_.rows, chunk_.steps, width}, rows.options());
    result.scatter_(1, positions.view({chunk_.count, 1, chunk_.steps, 1}).expand({-1, -1, -1, width}),
                    rows.view({chunk_.count, 1, chunk_.steps, width}));
    return result;
  }

  /// Adds the part of c [b,rows,T,D] that comes through the MLP, tile by tile.
  void through_mlp(std::size_t layer, Tensor& c) const {
    const Block& block = decoder_.blocks()[layer];
    const BlockTrace& trace = trace_.blocks[layer];
    const auto mine = [&](const Tensor& rows) {
      return rows.narrow(0, chunk_.first, chunk_.count).narrow(1, 0, chunk_.rows).flatten(0, 1);
    };
    const Tensor gate_slope = mine(trace.mlp.gate_slope), activated = mine(trace.mlp.activated);
    const Tensor normed = mine(trace.mlp_norm.normed), inverse = mine(trace.mlp_norm.inverse);
    Tensor flat = c.view({chunk_.count * chunk_.rows, chunk_.steps, -1});
    const std::int64_t tile = std::max<std::int64_t>(1, kRowsPerTile / chunk_.steps);
    for (std::int64_t first = 0; first < flat.size(0); first += tile) {
      const std::int64_t count = std::min(tile, flat.size(0) - first);
      Tensor rows = flat.narrow(0, first, count);
      const MlpTrace mlp{gate_slope.narrow(0, first, count), activated.narrow(0, first, count)};
      const NormTrace norm{normed.narrow(0, first, count), inverse.narrow(0, first, count)};
      rows.add_(block.mlp_norm.pull_back(norm, block.mlp.pull_back(mlp, rows)));
    }
  }

  /// Adds to c [b,rows,T,D] what comes through the attention from cotangents of its mixed values.
  void through_attention(std::size_t layer, const Tensor& mixed, Tensor& c) const {
    const Block& block = decoder_.blocks()[layer];
    const LayerConfig& config = decoder_.config().layers[layer];
    const AttentionTrace trace = trace_.blocks[layer].attention.slice(chunk_.first, chunk_.count, chunk_.rows);
    const Tensor normed = block.attention.pull_back(trace, attention_mask(0, chunk_.rows, config.window),
                                                    config.rotary ? &rotary_ : nullptr, mixed);
    const NormTrace norm = slice(trace_.blocks[layer].attention_norm, chunk_.first, chunk_.count, chunk_.rows);
    c.add_(block.attention_norm.pull_back(norm, normed));
  }

  const Decoder& decoder_;
  const DecoderTrace& trace_;
  const Chunk& chunk_;
  RotaryTable rotary_;
};

}  // namespace

Tensor pull_back(const Decoder& decoder, const PassTrace& trace, const Tensor& cotangents) {
  const std::int64_t batch = cotangents.size(0), steps = cotangents.size(1), hidden = decoder.config().hidden;
  Tensor result = at::zeros({batch, trace.longest, steps, hidden}, cotangents.options());
  if (trace.index.numel() == 0) return result;
  // Head and final norm for all asked rows at once.
  const Tensor rows = cotangents.flatten(0, 1).index_select(0, trace.index);
  const Tensor states =
      decoder.final_norm().pull_back(trace.final_norm, decoder.head().pull_back(rows).unsqueeze(1)).squeeze(1);
  const Tensor at_steps = at::zeros({batch * steps, hidden}, cotangents.options())
                              .index_copy_(0, trace.index, states)
                              .view({batch, steps, hidden});

  const Tensor reached = trace.positions.clamp_min(0);
  const std::int64_t scores_of_step = decoder.config().heads * trace.longest * trace.longest;
  const std::int64_t steps_together = std::clamp<std::int64_t>(kScoresPerChunk / scores_of_step, 1, kStepsPerChunk);
  for (std::int64_t step = 0; step < steps; step += steps_together) {
    const std::int64_t count = std::min(steps_together, steps - step);
    const Tensor places = reached.narrow(1, step, count);
    const std::int64_t rows_of_sequence = (places.max().item<std::int64_t>() + 1) * count;
    const std::int64_t sequences = std::clamp<std::int64_t>(
        std::min(kRowsPerChunk / rows_of_sequence, kScoresPerChunk / (scores_of_step * count)), 1, batch);
    for (std::int64_t first = 0; first < batch; first += sequences) {
      const std::int64_t together = std::min(sequences, batch - first);
      const Tensor positions = places.narrow(0, first, together).contiguous();
      const Chunk chunk{first, together, step, count, positions.max().item<std::int64_t>() + 1};
      const Tensor gradients = ChunkPullBack(decoder, trace.decoder, chunk)
                                   .run(at_steps.narrow(0, first, together).narrow(1, step, count), positions);
      result.narrow(0, first, together).narrow(1, 0, chunk.rows).narrow(2, step, count).copy_(gradients);
    }
  }
  return result;
}

}  // namespace whence::transformer
