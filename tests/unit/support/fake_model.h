#pragma once

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/pinverse.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <stdexcept>

#include "support/fake_tokenizer.h"
#include "whence/block_decomposition.h"
#include "whence/final_states.h"
#include "whence/model.h"
#include "whence/sequence.h"
#include "whence/value_zeroing.h"

namespace whence::testing {

/// A model small enough to write down: every position sees an average of its prefix (and of the source) that fades with
/// the distance, and logits = U tanh(A average). Two layers of two heads, each fading at its own rate, serve as
/// attentions; where values are zeroed, these layers add what their heads attend to, the even units of a state being
/// the values of the first head and the odd ones those of the second, and a tanh is the final norm. It counts its work,
/// and refuses whatever passes that share a prefix may not do.
class FakeModel : public Model, public ValueZeroing, public BlockDecomposition, public FinalStates {
 public:
  explicit FakeModel(ModelKind kind = ModelKind::decoder_only, bool shares_prefixes = true) : tokenizer_(kVocabulary) {
    info_.kind = kind;
    info_.name = info_.architecture = "fake";
    info_.layers = info_.heads = 2;
    info_.encoder_layers = kind == ModelKind::encoder_decoder ? 2 : 0;
    info_.activations = {"tanh"};
    info_.modules = {{"embedding"}, {"decoder.blocks"}, {"encoder.blocks"}};
    info_.hidden = info_.embedding = kHidden;
    info_.vocabulary = kVocabulary;
    info_.max_positions = 64;
    info_.dtype = "float32";
    info_.eos = {1};
    info_.pass_bytes = {.forward_row = 100, .traced_row = 64, .cotangent_row = 40, .fixed = 1000};
    info_.masks_attention = true;
    info_.pass_bytes.prefix_row = shares_prefixes ? 20 : 0;
    at::Generator random = at::detail::createCPUGenerator(7);
    embeddings_ = at::randn({kVocabulary, kHidden}, random);
    mix_ = at::randn({kHidden, kHidden}, random);
    head_ = at::randn({kHidden, kVocabulary}, random);
  }

  static constexpr std::int64_t kHidden = 5, kVocabulary = 12;

  const ModelInfo& info() const override { return info_; }
  const Tokenizer& tokenizer() const override { return tokenizer_; }

  Generation generate(const Inputs&, const GenerationConfig&, const GenerationProgress&) const override {
    throw ModelError("the fake model does not generate");
  }

  Tensor embed(const Tensor& ids, Side) const override { return at::embedding(embeddings_, ids); }

  Forward forward(const Inputs& inputs, const ForwardRequest& request) const override {
    at::AutoGradMode grad(request.trace);
    const auto leaf = [&](const Tensor& given, const PaddedIds& padded, const LayerStates& states) -> Tensor {
      if (!padded.defined()) return {};
      const Tensor rows = states.defined() ? states.states : given.defined() ? given : embed(padded.ids, Side::target);
      return rows.detach().clone().requires_grad_(request.trace);
    };
    auto trace = std::make_unique<FakeTrace>(*this);
    const std::int64_t begin = inputs.target_states.defined() ? inputs.target_states.block : 0;
    trace->target = leaf(inputs.target_embeddings, inputs.target, inputs.target_states);
    trace->source = leaf(inputs.source_embeddings, inputs.source, inputs.source_states);
    trace->source_lengths = inputs.source.lengths;
    trace->positions = request.positions;
    trace->kept = request.keep_prefix;
    trace->first_changed = at::zeros({request.positions.size(0)}, at::kLong);
    if (request.shared) {
      trace->shared = true;
      trace->first_changed = request.shared.first_changed;
      check_shared(inputs, request, trace->target);
    }
    count_forward(inputs, request, *trace);

    trace->average = begin > 0
                         ? trace->target
                         : at::matmul(seen(fading(trace->target.size(1), 0.7), inputs.target.unseen), trace->target);
    if (trace->source.defined() && begin == 0)
      trace->average = trace->average + at::matmul(visible_source(inputs, trace->average.size(1)), trace->source);
    trace->before = begin > 1 ? trace->target : at::matmul(trace->average, mix_);
    trace->state = begin > 1 ? trace->target : activated(trace->before);
    const Tensor logits = at::matmul(trace->state, head_);
    const Tensor& positions = request.positions;
    const Tensor rows =
        positions.clamp_min(0).unsqueeze(-1).expand({positions.size(0), positions.size(1), kVocabulary});
    trace->logits = at::where((positions >= 0).unsqueeze(-1), logits.gather(1, rows), 0.0);

    Forward result;
    result.logits = trace->logits.detach().clone();
    if (request.attentions) capture_attentions(inputs, result);
    for (const LayerSite& site : request.sites) result.states.push_back(trace->at(site).detach().clone());
    if (request.layer_states) throw ModelError("the fake model has no layer states");
    if (request.trace || request.keep_prefix) result.trace = std::move(trace);
    return result;
  }

  Gradients pull_back(const Forward& forward, const Cotangents& cotangents,
                      const PullBackRequest& request) const override {
    const auto& trace = static_cast<const FakeTrace&>(*forward.trace);
    const FakeTrace* reference = check_rules(request);
    if (request.first_changed_only && !trace.shared)
      throw std::invalid_argument("gradients at the first changed row need a pass that shares a prefix");
    const bool of_source =
        request.source || std::ranges::find(request.layers, Side::source, &LayerSite::stack) != request.layers.end();
    if (of_source && trace.shared) throw std::invalid_argument("the source of a shared prefix has no gradients");
    count_backward(trace, cotangents, of_source);
    const auto per_step = [&](const Tensor& leaf) {
      std::vector<Tensor> steps;
      for (std::int64_t t = 0; t < cotangents.logits.size(1); t += cotangents.together) {
        const Tensor logits = trace.logits.narrow(1, cotangents.first_step + t, cotangents.together),
                     c = cotangents.logits.narrow(1, t, cotangents.together);
        const bool slopes = reference && !leaf.is_same(trace.state) && !trace.state.is_same(trace.target);
        steps.push_back(slopes
                            ? gradient(trace.before, leaf, gradient(logits, trace.state, c) * slope(trace, *reference))
                            : gradient(logits, leaf, c));
      }
      return at::stack(steps, 2).detach();
    };
    Gradients gradients;
    at::AutoGradMode grad(true);
    if (request.target) gradients.target = per_step(trace.target);
    if (request.source && trace.source.defined()) gradients.source = per_step(trace.source);
    for (const LayerSite& layer : request.layers) gradients.layers.push_back(per_step(trace.at(layer)));
    if (request.attentions) show_attentions(trace, cotangents, request.attentions);
    if (request.first_changed_only && gradients.target.defined()) {
      const auto sizes = gradients.target.sizes();
      gradients.target =
          gradients.target.gather(1, trace.first_changed.view({-1, 1, 1, 1}).expand({-1, 1, sizes[2], sizes[3]}));
    }
    return gradients;
  }

  /// What stands between the two passes.
  virtual Tensor activated(const Tensor& before) const { return at::tanh(before); }

  /// The head reads what comes out of the second pass.
  Tensor final_states(const Tensor& states) const override { return states; }

  Gradients pull_back_states(const Forward& forward, const Tensor& cotangents, std::int64_t first_step,
                             const PullBackRequest& request) const override {
    // Logits are the states times the head, so that a cotangent of logits in the span of its columns gives any other.
    return pull_back(forward, {at::matmul(cotangents, at::pinverse(head_.t())), first_step}, request);
  }

  Work work() const override { return work_; }

  const void* query(std::string_view capability) const override {
    if (capability == FinalStates::kCapability) return static_cast<const FinalStates*>(this);
    if (info_.kind != ModelKind::decoder_only) return nullptr;
    if (capability == ValueZeroing::kCapability) return static_cast<const ValueZeroing*>(this);
    if (capability == BlockDecomposition::kCapability) return static_cast<const BlockDecomposition*>(this);
    return nullptr;
  }

  Extent extent(Attention attention) const override {
    return attention == Attention::target ? Extent{info_.layers, info_.heads} : Extent{};
  }

  void zero_values(const Inputs& inputs, const ValueZeroing::Request& request,
                   const ValueZeroing::Visitor& visit) const override {
    ++work_.forward_passes;
    work_.forward_rows += (request.target.positions.amax(1) + 1).sum().item<std::int64_t>();
    std::int64_t layers_zeroed = 0;
    Tensor states = embed(inputs.target.ids, Side::target);
    const Tensor unit_heads = at::arange(kHidden).remainder(2);
    const Tensor weights = attention_weights(states.size(1)).index_select(1, unit_heads);  // [N,D,query,key]
    for (std::int64_t n = 0; n < info_.layers; ++n) {
      // What every key adds to every query: [B,query,key,D].
      const Tensor added = weights[n].permute({1, 2, 0}) * states.unsqueeze(1);
      const Tensor zeroed_heads =
          request.target.heads.empty() ? at::ones({info_.heads}, at::kBool) : request.target.heads[n];
      const Tensor taken = added * zeroed_heads.index_select(0, unit_heads);
      states = states + added.sum(2);
      const auto normed = [&](const Tensor& state) { return n + 1 == info_.layers ? state.tanh() : state; };
      if (!zeroed_heads.any().item<bool>()) continue;
      ++layers_zeroed;
      for (std::int64_t b = 0; b < states.size(0); ++b)
        for (std::int64_t t = 0; t < request.target.positions.size(1); ++t) {
          const auto position = request.target.positions[b][t].item<std::int64_t>();
          if (position < 0) continue;
          const Tensor clean = states[b][position];
          visit({Attention::target, n, b, t, normed(clean),
                 normed(clean - taken[b][position].narrow(0, 0, position + 1))});
        }
    }
    const auto seen = (request.target.positions + 1).sum().item<std::int64_t>();
    work_.forward_rows += (seen * layers_zeroed + info_.layers - 1) / info_.layers;
  }

  void decompose(const Inputs& inputs, const BlockDecomposition::Request& request,
                 const BlockDecomposition::Visitor& visit) const override {
    const Tensor embeddings = embed(inputs.target.ids, Side::target);
    const Tensor unit_heads = at::arange(kHidden).remainder(2);
    for (std::int64_t b = 0; b < embeddings.size(0); ++b) {
      const auto rows = request.positions[b].max().item<std::int64_t>() + 1;
      ++work_.forward_passes;
      work_.forward_rows += rows;
      Tensor states = embeddings[b].narrow(0, 0, rows);
      for (std::int64_t n = 0; n < info_.layers; ++n) {
        BlockParts parts{.layer = n, .sequence = b};
        AttentionParts& attention = parts.attention;
        attention.weights = attention_weights(rows)[n];
        attention.scale = at::ones({rows});
        attention.vectors = at::stack({states * (unit_heads == 0), states * (unit_heads == 1)});
        attention.kept = states;
        const Tensor nothing = attention.constant = at::zeros_like(states);
        states = attention.output = states + attention.of_positions(0, rows).sum(1);
        parts.network = {nothing, states, nothing, states};
        visit(parts);
      }
    }
  }

  StreamDirections directions(const Inputs& inputs, const Tensor& positions,
                              const std::function<Tensor(const Tensor& logits)>& cotangents) const override {
    const Tensor given = cotangents(forward(inputs, {.positions = positions}).logits);
    work_.forward_passes += positions.size(0) - 1;  // one text at a time
    const Tensor direction = at::matmul(given, head_.t());
    StreamDirections result{.input = direction, .states = at::zeros_like(direction)};
    result.blocks.resize(static_cast<std::size_t>(info_.layers), {direction, {}, direction});
    return result;
  }

 private:
  struct FakeTrace final : Trace {
    using Trace::Trace;
    Tensor source, target, average, before, state, logits, positions, first_changed, source_lengths;
    bool kept = false, shared = false;

    /// The encoder hands its embeddings on as they are.
    const Tensor& at(const LayerSite& site) const {
      if (site.stack == Side::source) return source;
      return site.block == 0 ? target : site.block == 1 ? average : state;
    }
  };

  static Tensor gradient(const Tensor& of, const Tensor& at, const Tensor& cotangent) {
    return torch::autograd::grad({of}, {at}, {cotangent}, /*retain_graph=*/true).front();
  }

  /// Of the tanh between two passes.
  static Tensor slope(const FakeTrace& trace, const FakeTrace& reference) {
    const Tensor way = (trace.before - reference.before).detach(), same = way == 0;
    const Tensor derivative = 1 - trace.state.detach().square();
    return at::where(same, derivative, (trace.state - reference.state).detach() / way.masked_fill(same, 1));
  }

  /// The pass that the activation is compared with, or null. Operations that this model lacks follow any rule.
  static const FakeTrace* check_rules(const PullBackRequest& request) {
    bool compares = false;
    for (const BackwardRule& rule : request.rules) {
      if (rule.rule == "no_such_rule") throw UnknownName({}, "backward rule", rule.rule, {"deeplift", "gradient"});
      compares = compares || (rule.operation == "activation" && rule.rule == "deeplift");
    }
    if (compares != (request.reference != nullptr)) throw ConfigError("a reference pass goes with deeplift");
    return compares ? static_cast<const FakeTrace*>(request.reference->trace.get()) : nullptr;
  }

  /// Rows before the first changed one must be those of the base, and no step may read them.
  void check_shared(const Inputs& inputs, const ForwardRequest& request, const Tensor& rows) const {
    const auto& base = static_cast<const FakeTrace&>(*request.shared.base->trace);
    if (!base.kept || request.attentions || info_.pass_bytes.prefix_row == 0)
      throw std::invalid_argument("a pass shares a prefix that was not kept");
    for (std::int64_t b = 0; b < rows.size(0); ++b) {
      const auto first = request.shared.first_changed[b].item<std::int64_t>();
      const Tensor other = base.target[request.shared.sequences[b].item<std::int64_t>()];
      if (first >= inputs.target.lengths[b].item<std::int64_t>() ||
          !rows[b].narrow(0, 0, first).equal(other.narrow(0, 0, first)))
        throw std::invalid_argument("a pass shares rows that are not those of its base");
      const Tensor asked = request.positions[b];
      if (asked.ge(0).logical_and(asked < first).any().item<bool>())
        throw std::invalid_argument("a step reads a row that is not computed");
    }
  }

  void count_forward(const Inputs& inputs, const ForwardRequest& request, const FakeTrace& trace) const {
    ++work_.forward_passes;
    const bool whole = request.keep_prefix || request.attentions;
    const Tensor ends = whole ? inputs.target.lengths : trace.positions.amax(1) + 1;
    work_.forward_rows += (ends - trace.first_changed).clamp_min(0).sum().item<std::int64_t>();
    if (trace.source.defined() && !trace.shared) work_.forward_rows += trace.source_lengths.sum().item<std::int64_t>();
    work_.head_rows += trace.positions.ge(0).sum().item<std::int64_t>();
  }

  void count_backward(const FakeTrace& trace, const Cotangents& cotangents, bool of_source) const {
    ++work_.backward_passes;
    const Tensor asked = trace.positions.narrow(1, cotangents.first_step, cotangents.logits.size(1))
                             .unflatten(1, {-1, cotangents.together})
                             .amax(-1);
    Tensor rows = asked + 1 - trace.first_changed.unsqueeze(1);
    if (trace.source.defined() && of_source) rows = rows + trace.source_lengths.unsqueeze(1);
    work_.backward_rows += rows.masked_fill(asked < 0, 0).sum().item<std::int64_t>();
  }

  /// A derivative of 1 everywhere.
  void show_attentions(const FakeTrace& trace, const Cotangents& cotangents,
                       const std::function<void(const AttentionGradient&)>& visit) const {
    for (std::int64_t n = info_.layers; n-- > 0;)
      for (std::int64_t b = 0; b < trace.positions.size(0); ++b)
        for (std::int64_t t = 0; t < cotangents.logits.size(1); ++t) {
          const std::int64_t step = cotangents.first_step + t, rows = trace.positions[b][step].item<std::int64_t>() + 1;
          if (rows == 0) continue;
          const Tensor weights = attention_weights(rows)[n];
          visit({.layer = n, .sequence = b, .step = step, .weights = weights, .gradients = at::ones_like(weights)});
        }
  }

  /// [L,L]: row p weighs positions q <= p by rate^(p-q).
  static Tensor fading(std::int64_t length, double rate) {
    const Tensor position = at::arange(length);
    const Tensor distance = position.unsqueeze(1) - position.unsqueeze(0);
    return at::where(distance >= 0, at::pow(rate, distance.clamp_min(0).to(at::kFloat)), 0.0);
  }

  /// Weights [rows,keys] or [B,rows,keys] without those of unseen keys [B,keys].
  static Tensor seen(const Tensor& weights, const Tensor& unseen) {
    return unseen.defined() ? weights * unseen.logical_not().unsqueeze(1) : weights;
  }

  /// [B,rows,S]: every row sees the unpadded source evenly.
  static Tensor visible_source(const Inputs& inputs, std::int64_t rows) {
    const Tensor seen = at::arange(inputs.source.ids.size(1)).unsqueeze(0) < inputs.source.lengths.unsqueeze(1);
    const Tensor weights = seen.to(at::kFloat) / inputs.source.lengths.unsqueeze(1);
    return FakeModel::seen(weights.unsqueeze(1).expand({-1, rows, -1}), inputs.source.unseen);
  }

  /// [N,H,L,L]
  static Tensor attention_weights(std::int64_t length) {
    std::vector<Tensor> heads;
    for (const double rate : {0.9, 0.6, 0.4, 0.2}) {
      const Tensor weights = fading(length, rate);
      heads.push_back(weights / weights.sum(-1, true));
    }
    return at::stack(heads).view({2, 2, length, length});
  }

  static void capture_attentions(const Inputs& inputs, Forward& result) {
    const auto layers_and_heads = [](const Tensor& weights, std::int64_t batch) {
      return weights.expand({batch, 2, 2, weights.size(-2), weights.size(-1)}).contiguous();
    };
    const std::int64_t batch = inputs.target.ids.size(0), length = inputs.target.ids.size(1);
    result.target_attentions = layers_and_heads(attention_weights(length).unsqueeze(0), batch);
    if (!inputs.source.defined()) return;
    const auto even = [&](std::int64_t rows) { return visible_source(inputs, rows).unsqueeze(1).unsqueeze(1); };
    result.source_attentions = layers_and_heads(even(inputs.source.ids.size(1)), batch);
    result.cross_attentions = layers_and_heads(even(length), batch);
  }

  ModelInfo info_;
  FakeTokenizer tokenizer_;
  Tensor embeddings_, mix_, head_;
  mutable Work work_;
};

/// The sequence "t<id> t<id>...", explained at [start, end).
inline Sequence fake_sequence(const TokenIds& ids, Span steps, const TokenIds& source = {}) {
  Sequence sequence;
  sequence.id = "0";
  sequence.steps = steps;
  for (const std::int64_t id : ids) sequence.target.push_back({"t" + std::to_string(id), id});
  for (const std::int64_t id : source) sequence.source.push_back({"t" + std::to_string(id), id});
  return sequence;
}

}  // namespace whence::testing
