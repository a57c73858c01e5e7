#include "decoder_weights.h"

namespace whence::transformer {
namespace {

/// Divisors of the rotary frequencies that GGUF files of Llama 3 carry instead of the numbers they come from.
constexpr const char* kRotaryDivisors = "rope_freqs.weight";

RmsNorm read_norm(WeightReader& reader, const std::string& base, std::int64_t size, double epsilon) {
  return {reader.take(base + ".weight", {size}), epsilon};
}

Block read_block(const DecoderConfig& c, WeightReader& reader, std::int64_t layer) {
  Attention attention;
  attention.heads = c.heads;
  attention.key_value_heads = c.key_value_heads;
  attention.head_size = c.head_size;
  attention.query = reader.take_rotary_linear("query", layer, c.heads, c.head_size, c.hidden, c.attention_bias);
  attention.key = reader.take_rotary_linear("key", layer, c.key_value_heads, c.head_size, c.hidden, c.attention_bias);
  attention.value = reader.take_linear("value", layer, c.key_value_heads * c.head_size, c.hidden, c.attention_bias);
  attention.output = reader.take_linear("attention_output", layer, c.hidden, c.heads * c.head_size, c.output_bias);
  if (c.query_key_norm) {
    attention.query_norm = read_norm(reader, reader.name("query_norm", layer), c.head_size, c.norm_epsilon);
    attention.key_norm = read_norm(reader, reader.name("key_norm", layer), c.head_size, c.norm_epsilon);
  }
  GatedMlp mlp{reader.take_linear("gate", layer, c.inner, c.hidden, c.mlp_bias),
               reader.take_linear("up", layer, c.inner, c.hidden, c.mlp_bias),
               reader.take_linear("down", layer, c.hidden, c.inner, c.mlp_bias), c.activation};
  return {read_norm(reader, reader.name("attention_norm", layer), c.hidden, c.norm_epsilon),
          read_norm(reader, reader.name("mlp_norm", layer), c.hidden, c.norm_epsilon), std::move(attention),
          std::move(mlp)};
}

}  // namespace

Decoder read_decoder(DecoderConfig config, WeightReader& reader) {
  const std::string embedding_name = reader.name("embedding") + ".weight";
  if (config.vocabulary == 0) config.vocabulary = reader.rows(embedding_name);
  const Tensor embedding = reader.take(embedding_name, {config.vocabulary, config.hidden});
  std::vector<Block> blocks;
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(config.layers.size()); ++i)
    blocks.push_back(read_block(config, reader, i));
  RmsNorm final_norm = read_norm(reader, reader.name("final_norm"), config.hidden, config.norm_epsilon);

  const std::string head_name = reader.name("head") + ".weight";
  const bool own =
      config.own_head == Presence::always || (config.own_head == Presence::if_stored && reader.has(head_name));
  Linear head{own ? reader.take(head_name, {config.vocabulary, config.hidden}) : embedding, {}};

  Tensor divisors;
  if (reader.has(kRotaryDivisors)) divisors = reader.take(kRotaryDivisors, {config.rotary.size / 2});
  Rotary rotary(config.rotary, divisors);
  return {std::move(config), embedding, std::move(blocks), std::move(final_norm), std::move(head), std::move(rotary)};
}

}  // namespace whence::transformer
