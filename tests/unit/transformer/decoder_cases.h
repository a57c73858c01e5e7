#pragma once

#include <ATen/ops/tensor.h>

#include <string>
#include <vector>

#include "random_decoder.h"

namespace whence::transformer {

/// A small decoder whose parts go together as in the architecture it is named after, or that has something of its own.
struct DecoderCase {
  const char* name;
  DecoderConfig (*config)();
};

inline void without_rotary(DecoderConfig& config) {
  config.rotary.clear();
  for (LayerConfig& layer : config.layers) layer.rotary = -1;
}

inline void layer_norms(DecoderConfig& config, Presence bias) {
  config.norm.kind = config.attention.norm_kind = NormKind::layer;
  config.norm.epsilon = 1e-5;
  config.norm_bias = bias;
}

inline void plain_mlp(DecoderConfig& config, Activation activation, Presence bias) {
  config.mlp.gated = false;
  config.mlp.activation = activation;
  config.mlp.bias = bias;
}

inline void all_biases(DecoderConfig& config) {
  config.attention.bias = config.attention.output_bias = config.mlp.bias = Presence::always;
}

inline void experts_everywhere(DecoderConfig& config, std::int64_t count, std::int64_t chosen) {
  config.experts.count = count;
  config.experts.chosen = chosen;
  config.experts.each = config.mlp;
  config.experts.each.inner = 10;
  for (LayerConfig& layer : config.layers) layer.experts = true;
}

inline DecoderConfig gpt2_like() {
  DecoderConfig config = small_config(2, 3, 3);
  without_rotary(config);
  layer_norms(config, Presence::always);
  plain_mlp(config, Activation::gelu_tanh, Presence::always);
  all_biases(config);
  config.position_embedding = PositionEmbedding::learned;
  return config;
}

inline DecoderConfig bloom_like() {
  DecoderConfig config = gpt2_like();
  config.position_embedding = PositionEmbedding::none;
  config.attention.position_bias = PositionBias::alibi;
  config.embedding_norm = true;
  return config;
}

/// Parallel branches behind one norm.
inline DecoderConfig gptj_like() {
  DecoderConfig config = small_config(2, 3, 3, 8);
  layer_norms(config, Presence::always);
  plain_mlp(config, Activation::gelu_tanh, Presence::always);
  config.block.parallel = config.block.shared_norm = true;
  config.rotary[0].size = 4;
  config.head_bias = Presence::always;
  return config;
}

inline DecoderConfig gemma2_like() {
  DecoderConfig config = small_config(3, 4, 2, 6);
  config.block.branch_norms = true;
  config.mlp.activation = Activation::gelu_tanh;
  config.attention.scale = 0.3;
  config.attention.softcap = 5;
  config.layers[0].window = config.layers[2].window = 6;
  config.input_scale = std::sqrt(12.0);
  config.logit_softcap = 3;
  return config;
}

inline DecoderConfig mixtral_like() {
  DecoderConfig config = small_config(2);
  experts_everywhere(config, 6, 2);
  config.experts.normalise = 1;
  return config;
}

inline const std::vector<DecoderCase> kArchitectureLike = {
    {"gpt2", gpt2_like},
    {"gpt2_scaled_by_layer",
     [] {
       DecoderConfig config = gpt2_like();
       config.attention.scale_by_layer = true;
       return config;
     }},
    {"openai_gpt",
     [] {
       DecoderConfig config = gpt2_like();
       config.block.input_norms = config.final_norm = false;
       config.block.stream_norms = true;
       return config;
     }},
    {"gpt_neo",
     [] {
       DecoderConfig config = gpt2_like();
       config.attention.bias = Presence::never;
       config.attention.scale = 1;
       config.layers[1].window = 9;
       return config;
     }},
    {"bloom", bloom_like},
    {"bloom_residual_from_norm",
     [] {
       DecoderConfig config = bloom_like();
       config.block.residual_from_norm = true;
       config.block.input_norms = false;
       return config;
     }},
    {"falcon",
     [] {
       DecoderConfig config = small_config(2, 6, 1);
       without_rotary(config);
       layer_norms(config, Presence::always);
       plain_mlp(config, Activation::gelu, Presence::never);
       config.block.parallel = config.block.shared_norm = true;
       config.attention.position_bias = PositionBias::alibi_rounded;
       return config;
     }},
    {"falcon_new",
     [] {
       DecoderConfig config = small_config(2, 4, 2);
       layer_norms(config, Presence::always);
       plain_mlp(config, Activation::gelu, Presence::never);
       config.block.parallel = true;
       return config;
     }},
    {"gemma2", gemma2_like},
    {"gemma3",
     [] {
       DecoderConfig config = gemma2_like();
       config.attention.softcap = config.logit_softcap = 0;
       config.attention.norm = HeadNorm::each;
       config.rotary.push_back(config.rotary[0]);
       config.rotary[0].theta = 1e6;
       for (LayerConfig& layer : config.layers) layer.rotary = layer.window > 0 ? 1 : 0;
       config.input_scale = 1;
       config.embedding_scale = std::sqrt(12.0);
       return config;
     }},
    {"olmo",
     [] {
       DecoderConfig config = small_config(2);
       layer_norms(config, Presence::never);
       config.norm_gain = Presence::never;
       config.attention.clamp = 0.8;
       return config;
     }},
    {"olmo2",
     [] {
       DecoderConfig config = small_config(2);
       config.block.input_norms = false;
       config.block.branch_norms = true;
       config.attention.norm = HeadNorm::all;
       return config;
     }},
    {"opt",
     [] {
       DecoderConfig config = gpt2_like();
       config.mlp.activation = Activation::relu;
       config.position_offset = 2;
       return config;
     }},
    {"opt_post_norm_projected",
     [] {
       DecoderConfig config = gpt2_like();
       config.mlp.activation = Activation::relu;
       config.position_offset = 2;
       config.block.input_norms = config.final_norm = false;
       config.block.stream_norms = true;
       config.width = 8;
       return config;
     }},
    {"cohere",
     [] {
       DecoderConfig config = small_config(2);
       layer_norms(config, Presence::never);
       config.block.parallel = config.block.shared_norm = true;
       config.attention.norm = HeadNorm::own;
       config.logit_scale = 0.0625;
       return config;
     }},
    {"granite",
     [] {
       DecoderConfig config = small_config(2);
       config.block.branch_scale = 0.22;
       config.input_scale = 12;
       config.attention.scale = 0.7;
       config.logit_scale = 1.0 / 6;
       return config;
     }},
    {"mixtral", mixtral_like},
    {"granitemoe",
     [] {
       DecoderConfig config = mixtral_like();
       config.experts.routing = Routing::top_first;
       config.experts.normalise = 0;
       config.block.branch_scale = 0.22;
       return config;
     }},
    {"qwen2_moe",
     [] {
       DecoderConfig config = small_config(3);
       config.attention.bias = Presence::always;
       experts_everywhere(config, 5, 3);
       config.experts.shared_inner = 14;
       config.experts.shared_gate = true;
       config.layers[1].experts = false;
       return config;
     }},
    {"olmoe",
     [] {
       DecoderConfig config = small_config(2);
       experts_everywhere(config, 8, 5);
       config.attention.norm = HeadNorm::all;
       config.attention.clamp = 1.2;
       return config;
     }},
    {"dbrx",
     [] {
       DecoderConfig config = small_config(2);
       layer_norms(config, Presence::never);
       experts_everywhere(config, 4, 3);
       config.experts.normalise = 2;
       config.attention.clamp = 1.5;
       return config;
     }},
    {"plain_experts_with_biases",
     [] {
       DecoderConfig config = gpt2_like();
       config.mlp.activation = Activation::relu;
       config.position_embedding = PositionEmbedding::sines_then_cosines;
       experts_everywhere(config, 4, 2);
       config.experts.normalise = 1;
       config.experts.output_scale = 0.8;
       config.experts.shared_inner = 6;
       config.layers[0].experts = false;
       return config;
     }},
    {"mpt",
     [] {
       DecoderConfig config = small_config(2, 6, 6);
       without_rotary(config);
       layer_norms(config, Presence::never);
       plain_mlp(config, Activation::gelu, Presence::never);
       config.attention.position_bias = PositionBias::alibi_padded;
       config.attention.clamp = 1.1;
       return config;
     }},
    {"gptj", gptj_like},
    {"phi",
     [] {
       DecoderConfig config = gptj_like();
       config.attention.bias = config.attention.output_bias = Presence::always;
       config.attention.norm = HeadNorm::each;
       config.attention.norm_bias = Presence::always;
       return config;
     }},
    {"stablelm",
     [] {
       DecoderConfig config = small_config(2, 4, 2, 8);
       layer_norms(config, Presence::always);
       config.rotary[0].size = 2;
       config.attention.bias = Presence::always;
       config.attention.norm = HeadNorm::own;
       return config;
     }},
    {"nemotron",
     [] {
       DecoderConfig config = small_config(2, 4, 2, 8);
       layer_norms(config, Presence::always);
       plain_mlp(config, Activation::relu2, Presence::never);
       config.rotary[0].size = 4;
       return config;
     }},
    {"xglm",
     [] {
       DecoderConfig config = gpt2_like();
       config.mlp.activation = Activation::gelu;
       config.position_embedding = PositionEmbedding::sines_then_cosines;
       config.position_offset = 2;
       config.embedding_scale = std::sqrt(12.0);
       return config;
     }},
    {"sinusoid_pairs_and_post_norms",
     [] {
       DecoderConfig config = gpt2_like();
       config.layers.resize(1);  // norms of the stream make rounding in single precision grow
       config.mlp.activation = Activation::silu;
       config.position_embedding = PositionEmbedding::sinusoid_pairs;
       config.input_scale = std::sqrt(12.0);
       config.block.input_norms = config.final_norm = false;
       config.block.stream_norms = true;
       return config;
     }},
    {"t5",
     [] {
       DecoderConfig config = small_config(3, 3, 3);
       without_rotary(config);
       plain_mlp(config, Activation::relu, Presence::never);
       config.attention.scale = 1;
       config.attention.position_bias = PositionBias::relative;
       config.attention.relative_buckets = 8;
       config.attention.relative_distance = 20;
       config.logit_scale = 1 / std::sqrt(12.0);
       return config;
     }},
    {"umt5",
     [] {
       DecoderConfig config = small_config(2, 3, 3);
       without_rotary(config);
       config.mlp.activation = Activation::gelu_tanh;
       config.attention.scale = 1;
       config.attention.position_bias = PositionBias::relative;
       config.attention.relative_buckets = 32;
       config.attention.relative_distance = 128;
       config.attention.relative_in_every_layer = true;
       return config;
     }},
    {"sandwich_of_parallel_branches",
     [] {
       DecoderConfig config = small_config(2);
       layer_norms(config, Presence::always);
       config.block.parallel = config.block.branch_norms = true;
       config.block.branch_scale = 0.6;
       return config;
     }},
};

}  // namespace whence::transformer
