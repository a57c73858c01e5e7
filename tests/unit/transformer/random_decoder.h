#pragma once

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>

#include "decoder.h"

namespace whence::transformer {

/// Normal numbers of one type, other ones at every call.
class RandomTensors {
 public:
  explicit RandomTensors(at::ScalarType type, std::uint64_t seed = 11)
      : type_(type), generator_(at::detail::createCPUGenerator(seed)) {}

  Tensor operator()(at::IntArrayRef shape, double scale = 1) {
    return (scale * at::randn(shape, generator_, at::TensorOptions().dtype(at::kDouble))).to(type_);
  }
  std::int64_t integer(std::int64_t low, std::int64_t end) {
    return at::randint(low, end, {1}, generator_, at::kLong).item<std::int64_t>();
  }

 private:
  at::ScalarType type_;
  at::Generator generator_;
};

/// Weights for every part that the configuration has.
inline DecoderWeights random_weights(const DecoderConfig& c, RandomTensors& random) {
  const auto gain = [&](std::int64_t size) { return 1 + random({size}, 0.2); };
  const auto projection = [&](std::vector<std::int64_t> outs, std::int64_t in, Presence bias) {
    Projection result;
    std::int64_t out = 0;
    for (const std::int64_t part : outs) {
      result.parts.emplace_back(random({part, in}, 1.2 / std::sqrt(static_cast<double>(in))));
      out += part;
    }
    if (bias == Presence::always) result.bias = random({out}, 0.4);
    return result;
  };
  DecoderWeights weights{StoredMatrix(random({c.vocabulary, c.hidden})), {}, {}, {}};
  for (std::size_t i = 0; i < c.layers.size(); ++i) {
    BlockWeights block;
    const std::int64_t keys = c.key_value_heads * c.head_size;
    block.query_key_value = projection({c.heads * c.head_size, keys, keys}, c.hidden, c.attention_bias);
    block.query_key_value.gain = gain(c.hidden);
    block.output = projection({c.hidden}, c.heads * c.head_size, c.output_bias);
    if (c.query_key_norm) {
      block.query_norm = gain(c.head_size);
      block.key_norm = gain(c.head_size);
    }
    block.gate = projection({c.inner}, c.hidden, c.mlp_bias);
    block.up = projection({c.inner}, c.hidden, c.mlp_bias);
    block.gate.gain = block.up.gain = gain(c.hidden);
    block.down = projection({c.hidden}, c.inner, c.mlp_bias);
    weights.blocks.push_back(std::move(block));
  }
  weights.final_norm = gain(c.hidden);
  weights.head = projection({c.vocabulary}, c.hidden, Presence::never);
  weights.head.gain = weights.final_norm;
  return weights;
}

/// A configuration of `layers` plain layers that a test may change.
inline DecoderConfig small_config(std::size_t layers, std::int64_t heads = 4, std::int64_t key_value_heads = 2,
                                  std::int64_t head_size = 4) {
  DecoderConfig config;
  config.hidden = 12;
  config.inner = 20;
  config.heads = heads;
  config.key_value_heads = key_value_heads;
  config.head_size = head_size;
  config.vocabulary = 30;
  config.positions = 256;
  config.layers.resize(layers);
  config.rotary.size = head_size;
  return config;
}

}  // namespace whence::transformer
