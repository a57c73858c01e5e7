#include "autograd_oracle.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>
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

Tensor dense(const StoredMatrix& matrix) {
  Tensor result = at::empty({matrix.out(), matrix.in()}, at::kDouble);
  for (std::int64_t row = 0; row < matrix.out(); ++row)
    matrix.read_row(row, result.mutable_data_ptr<double>() + row * matrix.in());
  return result;
}

/// x, whose cotangent is handed down times the factor.
Tensor scaled_backward(const Tensor& x, double factor) { return factor * x + ((1 - factor) * x).detach(); }

/// activation(gate), whose derivative is its slope between the reference and the gate.
Tensor deeplift(Activation activation, const Tensor& gate, const Tensor& reference) {
  const Tensor derivative = activate(activation, gate);
  const Tensor way = (gate - reference).detach(), same = way.abs() < kSameGate;
  // No division by zero, since autograd carries what comes of it through the branch that is not taken.
  const Tensor slope = (derivative.detach() - activate(activation, reference)) / way.masked_fill(same, 1);
  return at::where(same, derivative, derivative.detach() + slope * (gate - gate.detach()));
}

Tensor turn(const Tensor& x, const Angles& angles) {
  const auto halves = x.chunk(2, -1);
  const Tensor cosine = angles.cosine.unsqueeze(1), sine = angles.sine.unsqueeze(1);
  return at::cat({halves[0] * cosine - halves[1] * sine, halves[1] * cosine + halves[0] * sine}, -1);
}

}  // namespace

Tensor normalise(const Tensor& x, double epsilon, bool frozen) {
  const Tensor inverse = at::rsqrt(x.square().mean(-1, /*keepdim=*/true) + epsilon);
  return x * (frozen ? inverse.detach() : inverse);
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
  }
  return {};
}

Tensor attend(const AttentionShape& shape, const Tensor& rows, const Rules& rules, Tensor* weights,
              const std::function<Tensor(const Tensor&)>& values_of) {
  const std::int64_t count = rows.size(0), sharing = shape.heads / shape.key_value_heads;
  const auto heads = [&](std::int64_t first, std::int64_t number) {  // [number,n,head]
    return rows.narrow(1, first, number * shape.head_size).view({count, number, shape.head_size}).transpose(0, 1);
  };
  const Tensor query = heads(0, shape.heads);
  const Tensor key = heads(shape.queries(), shape.key_value_heads).repeat_interleave(sharing, 0);
  Tensor value = heads(shape.queries() + shape.keys(), shape.key_value_heads).repeat_interleave(sharing, 0);
  if (values_of) value = values_of(value);

  const Tensor position = at::arange(count);
  const Tensor distance = position.unsqueeze(1) - position.unsqueeze(0);
  Tensor hidden = distance < 0;
  if (shape.window > 0) hidden = hidden.logical_or(distance >= shape.window);
  const double factor = rules.product_factor;
  const Tensor scores = at::matmul(scaled_backward(query, factor), scaled_backward(key, factor).transpose(1, 2)) /
                        std::sqrt(static_cast<double>(shape.head_size));
  Tensor p = at::softmax(scores.masked_fill(hidden, -std::numeric_limits<double>::infinity()), -1);
  if (rules.frozen_softmax) p = p.detach();
  if (weights) *weights = p.detach();
  const Tensor mixed = at::matmul(scaled_backward(p, factor), scaled_backward(value, factor));
  return mixed.transpose(0, 1).reshape({count, shape.queries()});
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

Block::Block(const BlockShape& shape, const BlockWeights& weights)
    : shape_(shape),
      query_key_value_(weights.query_key_value),
      output_(weights.output),
      gate_(weights.gate),
      up_(weights.up),
      down_(weights.down),
      query_norm_(as_double(weights.query_norm)),
      key_norm_(as_double(weights.key_norm)) {}

Tensor Block::heads(const Tensor& x, const Angles& angles, const Rules& rules) const {
  const AttentionShape& shape = shape_.attention;
  const Tensor rows = query_key_value_(normalise(x, shape_.norm_epsilon, rules.frozen_norms));
  const auto turned = [&](std::int64_t first, std::int64_t number, const Tensor& gain) {
    Tensor part = rows.narrow(1, first, number * shape.head_size).view({rows.size(0), number, shape.head_size});
    if (gain.defined()) part = normalise(part, shape_.norm_epsilon, rules.frozen_norms) * gain;
    if (shape_.rotary) part = turn(part, angles);
    return part.flatten(1);
  };
  return at::cat({turned(0, shape.heads, query_norm_), turned(shape.queries(), shape.key_value_heads, key_norm_),
                  rows.narrow(1, shape.queries() + shape.keys(), shape.keys())},
                 1);
}

Tensor Block::finish(const Tensor& mixed, const Tensor& x, const Rules& rules, const Tensor& reference_gate,
                     Tensor* gate) const {
  const Tensor middle = x + output_(mixed);
  const Tensor normed = normalise(middle, shape_.norm_epsilon, rules.frozen_norms);
  const Tensor gates = gate_(normed);
  if (gate) *gate = gates.detach();
  const Tensor active = reference_gate.defined() ? deeplift(shape_.activation, gates, reference_gate)
                                                 : activate(shape_.activation, gates);
  return middle + down_(scaled_backward(active, rules.gate_factor) * scaled_backward(up_(normed), rules.gate_factor));
}

Decoder::Decoder(const DecoderConfig& config, const DecoderWeights& weights, const Rotary& rotary)
    : config_(config),
      embedding_(dense(weights.embedding)),
      final_norm_(as_double(weights.final_norm)),
      head_(weights.head),
      rotary_(rotary) {
  for (std::size_t i = 0; i < weights.blocks.size(); ++i) {
    BlockShape shape;
    shape.hidden = config.hidden;
    shape.inner = config.inner;
    shape.attention = {config.heads, config.key_value_heads, config.head_size, config.layers[i].window};
    shape.activation = config.activation;
    shape.norm_epsilon = config.norm_epsilon;
    shape.rotary = config.layers[i].rotary;
    blocks_.emplace_back(shape, weights.blocks[i]);
  }
}

Tensor Decoder::embed(const Tensor& ids) const { return embedding_.index_select(0, ids); }

Pass Decoder::run(const Tensor& embeddings, std::int64_t length, const Rules& rules) const {
  const RotaryTable table = rotary_.table({length}, 0, embeddings.size(0));
  const auto flat = [](const Tensor& x) { return as_double(x.flatten(0, 2)); };
  const Angles angles{flat(table.cosine), flat(table.sine)};
  Pass pass;
  Tensor x = embeddings;
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    pass.block_inputs.push_back(x);
    pass.heads.push_back(blocks_[i].heads(x, angles, rules));
    const Tensor mixed =
        attend(blocks_[i].shape().attention, pass.heads.back(), rules, &pass.attentions.emplace_back());
    x = blocks_[i].finish(mixed, x, rules, rules.reference_gates ? (*rules.reference_gates)[i] : Tensor(),
                          &pass.gates.emplace_back());
  }
  pass.block_inputs.push_back(x);
  pass.logits = head_(normalise(x, config_.norm_epsilon, rules.frozen_norms));
  return pass;
}

Tensor Decoder::final_states(const Tensor& states) const {
  return normalise(states, config_.norm_epsilon) * final_norm_;
}

std::vector<Tensor> gradients(const Decoder& decoder, const Tensor& embeddings, std::int64_t length,
                              const std::vector<std::int64_t>& positions, const Tensor& cotangents,
                              const std::vector<std::int64_t>& layers, const Rules& rules) {
  const at::AutoGradMode with_grad(true);
  const Pass pass = decoder.run(as_double(embeddings).detach().clone().requires_grad_(), length, rules);
  std::vector<Tensor> inputs;
  for (const std::int64_t layer : layers) inputs.push_back(pass.block_inputs[static_cast<std::size_t>(layer)]);
  std::vector<std::vector<Tensor>> steps(layers.size());
  for (std::size_t t = 0; t < positions.size(); ++t) {
    std::vector<Tensor> of_step;
    if (positions[t] >= 0)
      of_step = torch::autograd::grad({pass.logits[positions[t]]}, inputs,
                                      {as_double(cotangents[static_cast<std::int64_t>(t)])}, /*retain_graph=*/true);
    for (std::size_t i = 0; i < layers.size(); ++i)
      steps[i].push_back(positions[t] >= 0 ? of_step[i] : at::zeros_like(inputs[i]).detach());
  }
  std::vector<Tensor> result;
  for (const auto& layer : steps) result.push_back(at::stack(layer, 1));
  return result;
}

}  // namespace whence::transformer::oracle
