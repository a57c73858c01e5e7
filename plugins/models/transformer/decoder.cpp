#include "decoder.h"

#include <ATen/ops/embedding.h>

#include <map>

namespace whence::transformer {

Decoder::Decoder(DecoderConfig config, Tensor embedding, std::vector<Block> blocks, RmsNorm final_norm, Linear head,
                 Rotary rotary)
    : config_(std::move(config)),
      embedding_(std::move(embedding)),
      blocks_(std::move(blocks)),
      final_norm_(std::move(final_norm)),
      head_(std::move(head)),
      rotary_(std::move(rotary)) {}

Tensor Decoder::embed(const Tensor& ids) const { return at::embedding(embedding_, ids); }

DecoderOutput Decoder::run(const Tensor& embeddings, const DecoderPass& pass) const {
  const std::int64_t start = pass.cache ? pass.cache->length() : 0;
  const std::int64_t count = embeddings.size(1);
  const RotaryTable table = rotary_.table(pass.lengths, start, count);
  std::map<std::int64_t, AttentionMask> masks;
  DecoderOutput result;
  Tensor x = embeddings;
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    const LayerConfig& layer = config_.layers[i];
    auto mask = masks.find(layer.window);
    if (mask == masks.end()) mask = masks.emplace(layer.window, attention_mask(start, count, layer.window)).first;
    if (pass.block_inputs) result.block_inputs.push_back(x.detach());
    AttentionContext context{i, &mask->second, layer.rotary ? &table : nullptr, pass.cache};
    if (pass.attentions) context.weights = &result.attentions.emplace_back();
    x = blocks_[i].forward(x, context, pass.trace ? &pass.trace->blocks.emplace_back() : nullptr);
  }
  if (pass.trace) pass.trace->lengths = pass.lengths;
  if (pass.cache) pass.cache->set_length(start + count);
  result.states = x;
  return result;
}

}  // namespace whence::transformer
