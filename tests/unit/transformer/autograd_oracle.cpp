#include "autograd_oracle.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/log.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/topk.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <limits>

namespace whence::transformer::oracle {
namespace {

/// Below this difference of gates, "deeplift" is the derivative.
constexpr double kSameGate = 1e-10;

Tensor as_double(const Tensor& tensor) { return tensor.defined() ? tensor.to(at::kDouble) : tensor; }

std::optional<Norm> as_double(std::optional<Norm> norm) {
  if (norm) {
    norm->gain = as_double(norm->gain);
    norm->bias = as_double(norm->bias);
  }
  return norm;
}

BranchNorms as_double(const BranchNorms& norms) {
  return {as_double(norms.before), as_double(norms.input), as_double(norms.branch), as_double(norms.after)};
}

Tensor dense(const StoredMatrix& matrix) {
  Tensor result = at::empty({matrix.out(), matrix.in()}, at::kDouble);
  for (std::int64_t row = 0; row < matrix.out(); ++row)
    matrix.read_row(row, result.mutable_data_ptr<double>() + row * matrix.in());
  return result;
}

/// x, whose cotangent is handed down times the factor.
Tensor scaled_backward(const Tensor& x, double factor) { return factor * x + ((1 - factor) * x).detach(); }

Tensor capped(const Tensor& x, double cap) { return cap > 0 ? cap * (x / cap).tanh() : x; }

/// activation(gate), whose derivative is its slope between the reference and the gate.
Tensor deeplift(Activation activation, const Tensor& gate, const Tensor& reference) {
  const Tensor derivative = activate(activation, gate);
  const Tensor way = (gate - reference).detach(), same = way.abs() < kSameGate;
  // No division by zero, since autograd carries what comes of it through the branch that is not taken.
  const Tensor slope = (derivative.detach() - activate(activation, reference)) / way.masked_fill(same, 1);
  return at::where(same, derivative, derivative.detach() + slope * (gate - gate.detach()));
}

/// The first channels of heads [n,heads,head], as many as there are angles for, turned.
Tensor turn(const Tensor& x, const Angles& angles) {
  const std::int64_t half = angles.cosine.size(1);
  const Tensor a = x.narrow(-1, 0, half), b = x.narrow(-1, half, half);
  const Tensor cosine = angles.cosine.unsqueeze(1), sine = angles.sine.unsqueeze(1);
  return at::cat({a * cosine - b * sine, b * cosine + a * sine, x.narrow(-1, 2 * half, x.size(-1) - 2 * half)}, -1);
}

/// b^1, b^3, ... or b^1, b^2, ... with b = 2^(-2^(3 - log2 power)).
std::vector<double> slopes(std::int64_t power, std::int64_t count, std::int64_t step) {
  const double base = std::pow(2.0, -std::pow(2.0, 3 - std::log2(static_cast<double>(power))));
  std::vector<double> result;
  for (std::int64_t i = 0; i < count; ++i) result.push_back(std::pow(base, static_cast<double>(1 + i * step)));
  return result;
}

/// One slope a head, as BLOOM and Falcon have them.
Tensor alibi_slopes(std::int64_t heads) {
  const auto power = static_cast<std::int64_t>(std::pow(2.0, std::floor(std::log2(static_cast<double>(heads)))));
  std::vector<double> result = slopes(power, power, 1);
  const std::vector<double> rest = slopes(2 * power, heads - power, 2);
  result.insert(result.end(), rest.begin(), rest.end());
  return at::tensor(at::ArrayRef<double>(result), at::kDouble);
}

/// As MPT has them.
Tensor padded_alibi_slopes(std::int64_t heads) {
  const auto power = static_cast<std::int64_t>(std::pow(2.0, std::ceil(std::log2(static_cast<double>(heads)))));
  const Tensor all = at::pow(at::Scalar(2.0), -8.0 * at::arange(1, power + 1).to(at::kDouble) / power);
  if (power == heads) return all;
  return at::cat({all.slice(0, 1, std::nullopt, 2), all.slice(0, 0, std::nullopt, 2)}).narrow(0, 0, heads);
}

/// Bucket of every distance of a key from its query, int64 [n,n].
Tensor relative_buckets(const Tensor& distance, bool causal, std::int64_t buckets, std::int64_t farthest) {
  Tensor first = at::zeros_like(distance), past = (-distance).clamp_min(0);
  if (!causal) {
    buckets /= 2;
    first = (distance > 0).to(at::kLong) * buckets;
    past = distance.abs();
  }
  const std::int64_t exact = buckets / 2;
  const Tensor share = (past.to(at::kFloat) / exact).log() /
                       std::log(static_cast<double>(farthest) / static_cast<double>(exact)) * (buckets - exact);
  const Tensor rough = (exact + share.clamp_min(0).to(at::kLong)).clamp_max(buckets - 1);
  return first + at::where(past < exact, past, rough);
}

AttentionShape shape_of(const StackConfig& config, std::size_t layer) {
  const AttentionConfig& c = config.attention;
  AttentionShape shape;
  shape.heads = c.heads;
  shape.key_value_heads = c.key_value_heads;
  shape.head_size = c.head_size;
  shape.window = config.layers[layer].window;
  shape.scale = c.scale_by_layer ? c.scale / static_cast<double>(1 + layer) : c.scale;
  shape.softcap = c.softcap;
  return shape;
}

}  // namespace

Tensor normalise(const Norm& norm, const Tensor& x, bool frozen) {
  const Tensor centred = norm.kind == NormKind::layer ? x - x.mean(-1, /*keepdim=*/true) : x;
  const Tensor inverse = at::rsqrt(centred.square().mean(-1, /*keepdim=*/true) + norm.epsilon);
  Tensor result = centred * (frozen ? inverse.detach() : inverse);
  if (norm.gain.defined()) result = result * norm.gain.view(x.sizes().slice(1));
  if (norm.bias.defined()) result = result + norm.bias.view(x.sizes().slice(1));
  return result;
}

Tensor activate(Activation activation, const Tensor& x) {
  switch (activation) {
    case Activation::silu:
      return at::silu(x);
    case Activation::gelu:
      return at::gelu(x);
    case Activation::gelu_tanh:
      return at::gelu(x, "tanh");
    case Activation::relu:
      return at::relu(x);
    case Activation::relu2:
      return at::relu(x).square();
  }
  return {};
}

Tensor score_bias(const AttentionConfig& config, const Tensor& relative, bool causal, std::int64_t n) {
  const Tensor key = at::arange(n);
  const auto by_key = [&](const Tensor& slope) {
    return (slope.view({-1, 1, 1}) * key.view({1, 1, -1})).to(at::kDouble).expand({config.heads, n, n});
  };
  switch (config.position_bias) {
    case PositionBias::none:
      return {};
    case PositionBias::alibi:
      return by_key(alibi_slopes(config.heads));
    case PositionBias::alibi_rounded:  // added before the scale
      return by_key(alibi_slopes(config.heads).to(at::kFloat).to(at::kBFloat16)) * config.scale;
    case PositionBias::alibi_padded:
      return (padded_alibi_slopes(config.heads).view({-1, 1, 1}) * (key - (n - 1)).view({1, 1, -1}))
          .expand({config.heads, n, n});
    case PositionBias::relative:
      break;
  }
  const Tensor bucket =
      relative_buckets(key.unsqueeze(0) - key.unsqueeze(1), causal, config.relative_buckets, config.relative_distance);
  return as_double(relative).index_select(1, bucket.flatten()).view({config.heads, n, n});
}

Tensor attend(const AttentionShape& shape, const Tensor& queries, const Tensor& key_values, const Tensor& bias,
              const Rules& rules, Tensor* weights, const std::function<Tensor(const Tensor&)>& values_of) {
  const std::int64_t count = queries.size(0), sharing = shape.heads / shape.key_value_heads;
  const auto heads = [&](const Tensor& rows, std::int64_t first, std::int64_t number) {  // [number,n,head]
    return rows.narrow(1, first, number * shape.head_size)
        .reshape({rows.size(0), number, shape.head_size})
        .transpose(0, 1);
  };
  const Tensor query = heads(queries, 0, shape.heads);
  const Tensor key = heads(key_values, 0, shape.key_value_heads).repeat_interleave(sharing, 0);
  Tensor value = heads(key_values, shape.keys(), shape.key_value_heads).repeat_interleave(sharing, 0);
  if (values_of) value = values_of(value);

  const double factor = rules.product_factor;
  const Tensor products = at::matmul(scaled_backward(query, factor), scaled_backward(key, factor).transpose(1, 2));
  Tensor scores = capped(products * shape.scale, shape.softcap);
  if (bias.defined()) scores = scores + bias;
  if (shape.sight == Sight::causal) {
    const Tensor position = at::arange(count);
    const Tensor distance = position.unsqueeze(1) - position.unsqueeze(0);
    Tensor hidden = distance < 0;
    if (shape.window > 0) hidden = hidden.logical_or(distance >= shape.window);
    scores = scores.masked_fill(hidden, -std::numeric_limits<double>::infinity());
  }
  Tensor p = at::softmax(scores, -1);
  if (const double t = rules.softmax_temperature; t != 1) {
    const Tensor tempered = t * at::softmax(scores / t, -1);
    p = p.detach() + tempered - tempered.detach();
  }
  if (rules.frozen_softmax) p = p.detach();
  if (weights) *weights = p.detach();
  if (rules.weights) rules.weights->push_back(p);
  const Tensor mixed = at::matmul(scaled_backward(p, factor), scaled_backward(value, factor));
  return mixed.transpose(0, 1).reshape({count, shape.queries()});
}

Tensor attend_rows(const AttentionShape& shape, const Tensor& rows, const Tensor& bias, const Rules& rules,
                   Tensor* weights, const std::function<Tensor(const Tensor&)>& values_of) {
  return attend(shape, rows.narrow(1, 0, shape.queries()), rows.narrow(1, shape.queries(), 2 * shape.keys()), bias,
                rules, weights, values_of);
}

Linear::Linear(const Projection& projection) : gain(as_double(projection.gain)), bias(as_double(projection.bias)) {
  std::vector<Tensor> parts;
  for (const StoredMatrix& part : projection.parts) parts.push_back(dense(part));
  weight = at::cat(parts);
}

Tensor Linear::operator()(const Tensor& x) const {
  const Tensor y = at::matmul(gain.defined() ? x * gain : x, weight.t());
  return bias.defined() ? y + bias : y;
}

Mlp::Mlp(const MlpConfig& config, const MlpWeights& weights) : config_(config), up_(weights.up), down_(weights.down) {
  if (config.gated) gate_.emplace(*weights.gate);
}

Tensor Mlp::operator()(const Tensor& x, const Rules& rules, const Tensor& reference, Tensor* before) const {
  const Tensor input = gate_ ? (*gate_)(x) : up_(x);
  if (before) *before = input.detach();
  const Tensor active =
      reference.defined() ? deeplift(config_.activation, input, reference) : activate(config_.activation, input);
  if (!gate_) return down_(active);
  return down_(scaled_backward(active, rules.gate_factor) * scaled_backward(up_(x), rules.gate_factor));
}

Experts::Experts(const ExpertsConfig& config, const ExpertsWeights& weights)
    : config_(config), router_(weights.router) {
  for (const MlpWeights& expert : weights.experts) experts_.emplace_back(config.each, expert);
  MlpConfig shared = config.each;
  shared.inner = config.shared_inner;
  if (weights.shared) shared_.emplace(shared, *weights.shared);
  if (weights.shared_gate) shared_gate_.emplace(*weights.shared_gate);
}

Tensor Experts::weights_of(const Tensor& logits) const {
  const Tensor chosen = std::get<1>(at::topk(logits.detach(), config_.chosen, -1));
  Tensor weights = config_.routing == Routing::softmax_first ? at::softmax(logits, -1).gather(1, chosen)
                                                             : at::softmax(logits.gather(1, chosen), -1);
  if (const double order = config_.normalise; order > 0)
    weights = weights / weights.pow(order).sum(1, /*keepdim=*/true).pow(1 / order);
  return at::zeros_like(logits).scatter(1, chosen, weights * config_.output_scale);
}

Tensor Experts::operator()(const Tensor& x, const Rules& rules) const {
  const Tensor weights = weights_of(router_(x));
  Tensor result = at::zeros_like(x);
  for (std::size_t e = 0; e < experts_.size(); ++e)
    result = result + weights.narrow(1, static_cast<std::int64_t>(e), 1) * experts_[e](x, rules);
  if (!shared_) return result;
  const Tensor made = (*shared_)(x, rules);
  return result + (shared_gate_ ? at::sigmoid((*shared_gate_)(x)) * made : made);
}

Block::Block(const StackConfig& config, std::size_t layer, const BlockWeights& weights)
    : attention_config_(config.attention),
      layout_(config.block),
      attention_(shape_of(config, layer)),
      attention_norms_(as_double(weights.attention_norms)),
      mlp_norms_(as_double(weights.mlp_norms)),
      query_key_value_(weights.attention.query_key_value),
      output_(weights.attention.output),
      query_norm_(as_double(weights.attention.query_norm)),
      key_norm_(as_double(weights.attention.key_norm)) {
  if (config.layers[layer].experts)
    experts_.emplace(config.experts, *weights.experts);
  else
    mlp_.emplace(config.mlp, *weights.mlp);
}

Tensor Block::read(const BranchNorms& norms, Tensor& x, const Rules& rules) const {
  if (norms.before) x = normalise(*norms.before, x, rules.frozen_norms);
  return norms.input ? normalise(*norms.input, x, rules.frozen_norms) : x;
}

Tensor Block::add(const BranchNorms& norms, const Tensor& x, Tensor made, const Rules& rules) const {
  if (norms.branch) made = normalise(*norms.branch, made, rules.frozen_norms);
  const Tensor sum = x + layout_.branch_scale * made;
  return norms.after ? normalise(*norms.after, sum, rules.frozen_norms) : sum;
}

Tensor Block::heads(Tensor& x, const Angles& angles, const Rules& rules) const {
  const AttentionShape& shape = attention_;
  const Tensor rows = query_key_value_(read(attention_norms_, x, rules));
  const auto cut = [&](const Tensor& part) {
    return attention_config_.clamp > 0 ? part.clamp(-attention_config_.clamp, attention_config_.clamp) : part;
  };
  const auto turned = [&](std::int64_t first, std::int64_t number, const std::optional<Norm>& norm) {
    const std::vector<std::int64_t> by_head{rows.size(0), number, shape.head_size};
    Tensor part = rows.narrow(1, first, number * shape.head_size);
    if (attention_config_.norm == HeadNorm::all) part = normalise(*norm, part, rules.frozen_norms);
    part = part.reshape(by_head);
    if (attention_config_.norm == HeadNorm::each || attention_config_.norm == HeadNorm::own)
      part = normalise(*norm, part, rules.frozen_norms);
    part = cut(part);
    if (angles.cosine.defined()) part = turn(part, angles);
    return part.flatten(1);
  };
  return at::cat({turned(0, shape.heads, query_norm_), turned(shape.queries(), shape.key_value_heads, key_norm_),
                  cut(rows.narrow(1, shape.queries() + shape.keys(), shape.keys()))},
                 1);
}

Tensor Block::finish(const Tensor& mixed, const Tensor& x, const Rules& rules, const Tensor& reference_gate,
                     Tensor* gate) const {
  const auto network = [&](const Tensor& input) {
    return mlp_ ? (*mlp_)(input, rules, reference_gate, gate) : (*experts_)(input, rules);
  };
  Tensor stream = x;
  if (layout_.parallel) {
    const Tensor made = network(read(mlp_norms_, stream, rules));
    return add(mlp_norms_, behind_attention(mixed, stream, rules), made, rules);
  }
  stream = behind_attention(mixed, stream, rules);
  const Tensor made = network(read(mlp_norms_, stream, rules));
  return add(mlp_norms_, stream, made, rules);
}

Decoder::Decoder(const DecoderConfig& config, const DecoderWeights& weights)
    : config_(config),
      embedding_(dense(weights.stack.embedding)),
      embedding_norm_(as_double(weights.stack.embedding_norm)),
      final_norm_(as_double(weights.stack.final_norm)),
      head_(weights.head),
      rotary_(weights.stack.rotary) {
  if (weights.stack.positions) positions_ = dense(*weights.stack.positions);
  if (weights.stack.project_in) project_in_.emplace(*weights.stack.project_in);
  if (weights.project_out) project_out_.emplace(*weights.project_out);
  for (std::size_t i = 0; i < weights.stack.blocks.size(); ++i) {
    const BlockWeights& own = weights.stack.blocks[i];
    blocks_.emplace_back(config, i, own);
    const bool first_serves = i > 0 && !config.attention.relative_in_every_layer;
    relative_.push_back(first_serves ? relative_.front() : own.attention.relative_bias);
  }
}

Tensor Decoder::embed(const Tensor& ids) const { return embedding_.index_select(0, ids) * config_.embedding_scale; }

Tensor Decoder::position_rows(std::int64_t count) const {
  const Tensor position = at::arange(config_.position_offset, config_.position_offset + count);
  if (config_.position_embedding == PositionEmbedding::learned) return positions_.index_select(0, position);
  const std::int64_t half = config_.hidden / 2;
  const Tensor i = at::arange(half).to(at::kDouble);
  const Tensor rates = config_.position_embedding == PositionEmbedding::sines_then_cosines
                           ? at::exp(-i * std::log(10000.0) / (half - 1))
                           : 1 / at::pow(at::Scalar(10000.0), 2 * i / config_.hidden);
  const Tensor angles = position.to(at::kDouble).unsqueeze(1) * rates;
  return at::cat({angles.sin(), angles.cos()}, 1);
}

Tensor Decoder::first_states(const Tensor& embeddings, const Rules& rules) const {
  Tensor x = embeddings * config_.input_scale;
  if (project_in_) x = (*project_in_)(x);
  if (config_.position_embedding != PositionEmbedding::none) x = x + position_rows(x.size(0));
  return embedding_norm_ ? normalise(*embedding_norm_, x, rules.frozen_norms) : x;
}

Pass Decoder::run(const Tensor& embeddings, std::int64_t length, const Rules& rules) const {
  std::vector<Angles> angles;
  for (const Rotary& rotary : rotary_) {
    const RotaryTable table = rotary.table({length}, 0, embeddings.size(0));
    angles.push_back({as_double(table.cosine.flatten(0, 2)), as_double(table.sine.flatten(0, 2))});
  }
  Pass pass;
  Tensor x = first_states(embeddings, rules);
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    const std::int64_t rotary = config_.layers[i].rotary;
    pass.block_inputs.push_back(x);
    pass.heads.push_back(blocks_[i].heads(x, rotary < 0 ? Angles() : angles[static_cast<std::size_t>(rotary)], rules));
    pass.streams.push_back(x);
    pass.biases.push_back(score_bias(config_.attention, relative_[i], /*causal=*/true, x.size(0)));
    const Tensor mixed = attend_rows(blocks_[i].attention(), pass.heads.back(), pass.biases.back(), rules,
                                     &pass.attentions.emplace_back());
    x = blocks_[i].finish(mixed, x, rules, rules.reference_gates ? (*rules.reference_gates)[i] : Tensor(),
                          &pass.gates.emplace_back());
  }
  pass.block_inputs.push_back(x);
  x = final_states(x, rules);
  pass.logits = capped(head_(project_out_ ? (*project_out_)(x) : x) * config_.logit_scale, config_.logit_softcap);
  return pass;
}

Tensor Decoder::final_states(const Tensor& states, const Rules& rules) const {
  return final_norm_ ? normalise(*final_norm_, states, rules.frozen_norms) : states;
}

std::vector<Tensor> gradients(const Decoder& decoder, const Tensor& embeddings, std::int64_t length,
                              const std::vector<std::int64_t>& positions, const Tensor& cotangents,
                              const std::vector<std::int64_t>& layers, const Rules& rules) {
  const at::AutoGradMode with_grad(true);
  const Tensor leaf = as_double(embeddings).detach().clone().requires_grad_();
  const Pass pass = decoder.run(leaf, length, rules);
  std::vector<Tensor> inputs;
  for (const std::int64_t layer : layers) inputs.push_back(pass.block_inputs[static_cast<std::size_t>(layer)]);
  inputs.push_back(leaf);
  std::vector<std::vector<Tensor>> steps(inputs.size());
  for (std::size_t t = 0; t < positions.size(); ++t) {
    std::vector<Tensor> of_step;
    if (positions[t] >= 0)
      of_step = torch::autograd::grad({pass.logits[positions[t]]}, inputs,
                                      {as_double(cotangents[static_cast<std::int64_t>(t)])}, /*retain_graph=*/true);
    for (std::size_t i = 0; i < inputs.size(); ++i)
      steps[i].push_back(positions[t] >= 0 ? of_step[i] : at::zeros_like(inputs[i]).detach());
  }
  std::vector<Tensor> result;
  for (const auto& layer : steps) result.push_back(at::stack(layer, 1));
  return result;
}

}  // namespace whence::transformer::oracle
