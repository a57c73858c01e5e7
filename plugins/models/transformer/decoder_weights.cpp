#include "decoder_weights.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

namespace whence::transformer {
namespace {

/// Divisors of the rotary frequencies that GGUF files of Llama 3 carry instead of the numbers they come from.
constexpr const char* kRotaryDivisors = "rope_freqs.weight";

Tensor read_norm(WeightReader& reader, const std::string& base, std::int64_t size) {
  return reader.take(base + ".weight", {size});
}

/// One projection with the outputs of all, one after another.
Projection stacked(const std::vector<Projection>& projections) {
  Projection result;
  bool biased = false;
  for (const Projection& projection : projections) biased = biased || projection.bias.defined();
  std::vector<Tensor> biases;
  for (const Projection& projection : projections) {
    result.parts.insert(result.parts.end(), projection.parts.begin(), projection.parts.end());
    if (biased) biases.push_back(projection.bias.defined() ? projection.bias : at::zeros({projection.out()}));
  }
  if (biased) result.bias = at::cat(biases);
  return result;
}

BlockWeights read_block(const DecoderConfig& c, WeightReader& reader, std::int64_t layer) {
  BlockWeights block;
  block.query_key_value =
      stacked({reader.take_rotary_projection("query", layer, c.heads, c.head_size, c.hidden, c.attention_bias),
               reader.take_rotary_projection("key", layer, c.key_value_heads, c.head_size, c.hidden, c.attention_bias),
               reader.take_projection("value", layer, c.key_value_heads * c.head_size, c.hidden, c.attention_bias)});
  block.query_key_value.gain = read_norm(reader, reader.name("attention_norm", layer), c.hidden);
  block.output = reader.take_projection("attention_output", layer, c.hidden, c.heads * c.head_size, c.output_bias);
  if (c.query_key_norm) {
    block.query_norm = read_norm(reader, reader.name("query_norm", layer), c.head_size);
    block.key_norm = read_norm(reader, reader.name("key_norm", layer), c.head_size);
  }
  block.gate = reader.take_projection("gate", layer, c.inner, c.hidden, c.mlp_bias);
  block.up = reader.take_projection("up", layer, c.inner, c.hidden, c.mlp_bias);
  block.gate.gain = block.up.gain = read_norm(reader, reader.name("mlp_norm", layer), c.hidden);
  block.down = reader.take_projection("down", layer, c.hidden, c.inner, c.mlp_bias);
  return block;
}

}  // namespace

DecoderWeights read_decoder_weights(DecoderConfig& config, WeightReader& reader) {
  const std::string embedding_name = reader.name("embedding") + ".weight";
  if (config.vocabulary == 0) config.vocabulary = reader.rows(embedding_name);
  DecoderWeights result{reader.take_matrix(embedding_name, config.vocabulary, config.hidden), {}, {}, {}};
  for (std::int64_t i = 0; i < std::ssize(config.layers); ++i) result.blocks.push_back(read_block(config, reader, i));
  result.final_norm = read_norm(reader, reader.name("final_norm"), config.hidden);

  const std::string head_name = reader.name("head") + ".weight";
  const bool own =
      config.own_head == Presence::always || (config.own_head == Presence::if_stored && reader.has(head_name));
  result.head.parts.push_back(own ? reader.take_matrix(head_name, config.vocabulary, config.hidden) : result.embedding);
  result.head.gain = result.final_norm;
  return result;
}

Rotary read_rotary(const DecoderConfig& config, WeightReader& reader) {
  Tensor divisors;
  if (reader.has(kRotaryDivisors)) divisors = reader.take(kRotaryDivisors, {config.rotary.size / 2});
  return Rotary(config.rotary, divisors);
}

WeightBytes weight_bytes(const DecoderConfig& c, const WeightPolicy& policy) {
  const auto bytes = [](Precision precision) -> std::int64_t { return precision == Precision::full ? 4 : 2; };
  const std::int64_t both = bytes(policy.forward) + bytes(policy.backward);
  const std::int64_t block = c.hidden * ((2 * c.heads + 2 * c.key_value_heads) * c.head_size + 3 * c.inner) * both;
  const std::int64_t head = c.vocabulary * c.hidden * both;
  if (policy.resident) return {block * std::ssize(c.layers) + head, 0};
  return {0, block + std::min(head, Head<float>::kSlice * c.hidden * both)};
}

}  // namespace whence::transformer
