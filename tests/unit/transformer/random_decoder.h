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

/// Weights for every part that a configuration has.
class RandomWeights {
 public:
  RandomWeights(const DecoderConfig& config, RandomTensors& random) : c_(config), random_(random) {}

  DecoderWeights decoder() {
    DecoderWeights weights{stack(), {}, {}};
    if (c_.width != c_.hidden) weights.project_out = projection({c_.width}, c_.hidden, Presence::never);
    weights.head = projection({c_.vocabulary}, c_.width, c_.head_bias);
    return weights;
  }

  Projection projection(const std::vector<std::int64_t>& outs, std::int64_t in, Presence bias) {
    Projection result;
    std::int64_t out = 0;
    for (const std::int64_t part : outs) {
      result.parts.emplace_back(random_({part, in}, 1.2 / std::sqrt(static_cast<double>(in))));
      out += part;
    }
    if (bias == Presence::always) result.bias = random_({out}, 0.4);
    return result;
  }

  MlpWeights mlp(const MlpConfig& mlp, const Tensor& gain) {
    MlpWeights result;
    if (mlp.gated) {
      result.gate = projection({mlp.inner}, c_.hidden, mlp.bias);
      result.gate->gain = gain;
    }
    result.up = projection({mlp.inner}, c_.hidden, mlp.bias);
    result.up.gain = gain;
    result.down = projection({c_.hidden}, mlp.inner, mlp.bias);
    return result;
  }

  ExpertsWeights experts(const Tensor& gain) {
    const ExpertsConfig& e = c_.experts;
    ExpertsWeights result;
    result.router = projection({e.count}, c_.hidden, Presence::never);
    result.router.gain = gain;
    for (std::int64_t i = 0; i < e.count; ++i) result.experts.push_back(mlp(e.each, gain));
    if (e.shared_inner == 0) return result;
    MlpConfig shared = e.each;
    shared.inner = e.shared_inner;
    result.shared = mlp(shared, gain);
    if (e.shared_gate) {
      result.shared_gate = projection({1}, c_.hidden, Presence::never);
      result.shared_gate->gain = gain;
    }
    return result;
  }

 private:
  Tensor gain(std::int64_t size) { return 1 + random_({size}, 0.2); }

  Norm norm() {
    Norm result = c_.norm;
    if (c_.norm_gain == Presence::always) result.gain = gain(c_.hidden);
    if (c_.norm_bias == Presence::always) result.bias = random_({c_.hidden}, 0.3);
    return result;
  }

  /// The norms around a branch; a gain that goes into the projections behind its norm is in `input_gain`.
  BranchNorms norms(Tensor& input_gain) {
    BranchNorms result;
    if (c_.block.stream_norms) result.after = norm();
    if (c_.block.residual_from_norm) result.before = norm();
    if (c_.block.input_norms) {
      result.input = norm();
      if (!result.input->bias.defined()) std::swap(input_gain, result.input->gain);
    }
    if (c_.block.branch_norms) result.branch = norm();
    return result;
  }

  Norm head_norm(std::int64_t heads) {
    const AttentionConfig& a = c_.attention;
    const bool one = a.norm == HeadNorm::each;
    const std::int64_t size = one ? a.head_size : heads * a.head_size, times = one ? heads : 1;
    Norm result{a.norm_kind, c_.norm.epsilon, gain(size).repeat({times}), {}};
    if (a.norm_bias == Presence::always) result.bias = random_({size}, 0.3).repeat({times});
    return result;
  }

  BlockWeights block(std::size_t layer) {
    const AttentionConfig& a = c_.attention;
    const std::int64_t queries = a.heads * a.head_size, keys = a.key_value_heads * a.head_size;
    BlockWeights result;
    Tensor attention_gain, mlp_gain;
    result.attention_norms = norms(attention_gain);
    result.attention.query_key_value = projection({queries, keys, keys}, c_.hidden, a.bias);
    result.attention.query_key_value.gain = attention_gain;
    result.attention.output = projection({c_.hidden}, queries, a.output_bias);
    if (a.norm != HeadNorm::none) {
      result.attention.query_norm = head_norm(a.heads);
      result.attention.key_norm = head_norm(a.key_value_heads);
    }
    if (a.position_bias == PositionBias::relative && (layer == 0 || a.relative_in_every_layer))
      result.attention.relative_bias = random_({a.heads, a.relative_buckets});
    if (c_.block.shared_norm) {
      result.mlp_norms = result.attention_norms;
      mlp_gain = attention_gain;
    } else {
      result.mlp_norms = norms(mlp_gain);
    }
    if (c_.layers[layer].experts)
      result.experts = experts(mlp_gain);
    else
      result.mlp = mlp(c_.mlp, mlp_gain);
    return result;
  }

  StackWeights stack() {
    StackWeights result{StoredMatrix(random_({c_.vocabulary, c_.width})), {}, {}, {}, {}, {}, {}};
    if (c_.width != c_.hidden) result.project_in = projection({c_.hidden}, c_.width, Presence::never);
    if (c_.position_embedding == PositionEmbedding::learned)
      result.positions.emplace(random_({c_.positions + c_.position_offset, c_.hidden}));
    if (c_.embedding_norm) result.embedding_norm = norm();
    for (std::size_t i = 0; i < c_.layers.size(); ++i) result.blocks.push_back(block(i));
    if (c_.final_norm) result.final_norm = norm();
    for (const RotaryConfig& rotary : c_.rotary) result.rotary.emplace_back(rotary);
    return result;
  }

  const DecoderConfig& c_;
  RandomTensors& random_;
};

inline DecoderWeights random_weights(const DecoderConfig& config, RandomTensors& random) {
  return RandomWeights(config, random).decoder();
}

/// A configuration of `layers` plain layers that a test may change.
inline DecoderConfig small_config(std::size_t layers, std::int64_t heads = 4, std::int64_t key_value_heads = 2,
                                  std::int64_t head_size = 4) {
  DecoderConfig config;
  config.hidden = config.width = 12;
  config.mlp.inner = 20;
  config.attention.heads = heads;
  config.attention.key_value_heads = key_value_heads;
  config.attention.head_size = head_size;
  config.attention.scale = 1 / std::sqrt(static_cast<double>(head_size));
  config.vocabulary = 30;
  config.positions = 256;
  config.layers.resize(layers);
  config.rotary.resize(1);
  config.rotary[0].size = head_size;
  return config;
}

}  // namespace whence::transformer
