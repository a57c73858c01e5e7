#include "whence/problem.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include "whence/memory.h"

namespace whence {
namespace {

constexpr std::int64_t kNoStep = -1;
constexpr std::int64_t kFloat = sizeof(float);

std::string name_of(const Sequence& sequence) { return "sequence '" + sequence.id + "'"; }

void check(const Sequence& sequence, const ModelInfo& model) {
  const auto length = static_cast<std::int64_t>(sequence.target.size());
  if (length == 0) throw InputError(name_of(sequence) + ": empty text; give at least one token");
  const bool has_encoder = model.kind == ModelKind::encoder_decoder;
  if (has_encoder != !sequence.source.empty())
    throw InputError(name_of(sequence) +
                     (has_encoder ? ": no source text; an encoder-decoder model needs one"
                                  : ": has a source; a decoder-only model takes prompt and continuation as one text"));
  const auto [start, end] = sequence.steps;
  // The first token has no prefix that could predict it.
  if (start < 1 || end > length || start >= end)
    throw InputError(name_of(sequence) + ": explained positions [" + std::to_string(start) + ", " +
                     std::to_string(end) + ") do not fit a text of " + std::to_string(length) +
                     " tokens; expected 1 <= start < end <= length");
  const auto longest = std::max(end, static_cast<std::int64_t>(sequence.source.size()));
  if (model.max_positions > 0 && longest > model.max_positions)
    throw InputError(name_of(sequence) + ": " + std::to_string(longest) +
                     " tokens are longer than the model's context of " + std::to_string(model.max_positions) +
                     "; shorten the text");
}

/// Sequences of ids padded at the right with zeros.
PaddedIds pad(const std::vector<TokenIds>& rows) {
  std::size_t longest = 0;
  for (const auto& row : rows) longest = std::max(longest, row.size());
  const auto batch = static_cast<std::int64_t>(rows.size());
  PaddedIds padded{at::zeros({batch, static_cast<std::int64_t>(longest)}, at::kLong), at::empty({batch}, at::kLong)};
  for (std::int64_t b = 0; b < batch; ++b) {
    const auto& row = rows[b];
    std::copy(row.begin(), row.end(), padded.ids.data_ptr<std::int64_t>() + b * static_cast<std::int64_t>(longest));
    padded.lengths.data_ptr<std::int64_t>()[b] = static_cast<std::int64_t>(row.size());
  }
  return padded;
}

/// [B,...] repeated `count` times along a new leading dim, flattened: [count*B,...].
Tensor repeat(const Tensor& tensor, std::int64_t count) {
  if (!tensor.defined()) return tensor;
  std::vector<std::int64_t> sizes(tensor.sizes().begin(), tensor.sizes().end());
  sizes.insert(sizes.begin(), count);
  return tensor.unsqueeze(0).expand(sizes).flatten(0, 1);
}

PaddedIds repeat(const PaddedIds& padded, std::int64_t count) {
  return {repeat(padded.ids, count), repeat(padded.lengths, count)};
}

Tensor merge_batch(const Tensor& tensor) { return tensor.defined() ? tensor.flatten(0, 1).contiguous() : tensor; }

}  // namespace

struct Problem::State {
  const Model& model;
  const StepFunction& score;
  std::vector<Sequence> sequences;
  Options options;
  Inputs inputs;
  Tensor positions, step_mask, step_ids;  // [B,T]
  Tensor base_logits;                     // [B,T,V], once a pass over the unchanged sequences was made
  Tensor embeddings[2], baselines[2];     // by Side; made when first asked for
  Cost cost;

  std::int64_t batch() const { return inputs.target.ids.size(0); }
  std::int64_t steps() const { return positions.size(1); }
  const PaddedIds& ids(Side side) const { return side == Side::source ? inputs.source : inputs.target; }
  std::int64_t length(Side side) const { return ids(side).defined() ? ids(side).ids.size(1) : 0; }
  std::int64_t tokens() const { return length(Side::source) + length(Side::target); }
  bool attributes(Side side) const {
    if (side == Side::source) return inputs.source.defined();
    return model.info().kind == ModelKind::decoder_only || options.attribute_target;
  }

  const Tensor& embedding(Side side) {
    auto& rows = embeddings[static_cast<int>(side)];
    if (!rows.defined() && ids(side).defined()) rows = model.embed(ids(side).ids, side);
    return rows;
  }

  const Tensor& baseline(Side side) {
    auto& rows = baselines[static_cast<int>(side)];
    if (!rows.defined() && ids(side).defined()) rows = model.embed(baseline_ids(side), side);
    return rows;
  }

  /// Every token becomes the unknown one; EOS keeps itself unless `eos_baseline`, a decoder start token always does.
  Tensor baseline_ids(Side side) const {
    const auto& special = model.tokenizer().special_ids();
    const auto unknown = special.unknown ? special.unknown : special.pad ? special.pad : special.eos;
    if (!unknown)
      throw ModelError(model.info().name +
                       ": the tokenizer has no unknown, padding or end-of-text token to build a baseline from; " +
                       "use a method without baseline");
    const Tensor& own = ids(side).ids;
    Tensor baseline = at::full(own.sizes(), *unknown, own.options());
    if (special.eos && !options.eos_baseline) baseline = at::where(own == *special.eos, own, baseline);
    if (side == Side::target && model.info().kind == ModelKind::encoder_decoder)
      baseline.select(1, 0).copy_(own.select(1, 0));
    return baseline;
  }

  /// How many copies of the batch one pass may hold.
  std::int64_t copies_per_pass(bool trace) const {
    const ModelInfo& info = model.info();
    const std::int64_t budget = options.memory_bytes > 0 ? options.memory_bytes : available_memory() / 4;
    // Beside what the model keeps: embeddings, logits (with their softmax and gradient) and the per-step gradients.
    std::int64_t bytes = tokens() * (info.hidden * 2 * kFloat) + steps() * info.vocabulary * 3 * kFloat;
    if (trace)
      bytes += tokens() * (info.pass_bytes.traced_row + steps() * info.hidden * 2 * kFloat);
    else
      bytes += tokens() * info.hidden * 16 * kFloat;
    return std::max<std::int64_t>(1, budget / std::max<std::int64_t>(1, bytes * batch()));
  }

  Forward run(const Inputs& pass, std::int64_t copies, ForwardRequest request) {
    request.positions = repeat(positions, copies);
    ++cost.forward_passes;
    cost.forward_tokens += copies * batch() * tokens();
    return model.forward(pass, request);
  }

  Forward run_base(const ForwardRequest& request) {
    at::NoGradGuard no_grad;
    Forward forward = run(inputs, 1, request);
    base_logits = forward.logits;
    return forward;
  }

  /// Scores of the steps of `copies` copies of the batch from [copies*B,T,V], zero where there is no step:
  /// [copies*B,T].
  Tensor score_steps(const StepFunction& function, const Tensor& logits, std::int64_t copies) const {
    const Tensor scores = function.score({logits, repeat(step_ids, copies)});
    if (scores.sizes() != at::IntArrayRef({copies * batch(), steps()}))
      throw Error(ExitStatus::plugin,
                  "the step function returned scores of another shape than [B,T]; expected one score for each step");
    return at::where(repeat(step_mask, copies), scores.to(at::kFloat), 0.0);
  }

  /// Inputs of points on the path, one copy of the batch for each alpha.
  Inputs at_nodes(at::ArrayRef<double> alphas) {
    const auto count = static_cast<std::int64_t>(alphas.size());
    Inputs pass{repeat(inputs.target, count), repeat(inputs.source, count), {}, {}};
    const auto along = [&](Side side) -> Tensor {
      if (!ids(side).defined()) return {};
      const Tensor& end = embedding(side);
      std::vector<Tensor> points;
      for (const double alpha : alphas)
        points.push_back(alpha == 1.0 || !attributes(side) ? end : baseline(side) + alpha * (end - baseline(side)));
      return merge_batch(at::stack(points));
    };
    pass.target_embeddings = along(Side::target);
    pass.source_embeddings = along(Side::source);
    return pass;
  }

  Inputs with_variants(const Variants& variants, std::int64_t first, std::int64_t count) {
    Inputs pass{repeat(inputs.target, count), repeat(inputs.source, count), {}, {}};
    const auto replaced = [&](Side side, const Tensor& mask) -> Tensor {
      if (!mask.defined()) return repeat(embedding(side), count);
      // [count,1,L,1] against [B,L,D]
      const Tensor rows = mask.narrow(0, first, count).unsqueeze(1).unsqueeze(-1);
      return merge_batch(at::where(rows, baseline(side), embedding(side)));
    };
    pass.target_embeddings = replaced(Side::target, variants.target_mask);
    pass.source_embeddings = replaced(Side::source, variants.source_mask);
    return pass;
  }

  /// Walks `total` copies of the batch in chunks that fit the memory budget and reports progress after each.
  template <class Chunk>
  void in_chunks(std::int64_t total, bool trace, const Chunk& chunk) {
    const std::int64_t largest = copies_per_pass(trace);
    for (std::int64_t first = 0; first < total; first += largest) {
      const std::int64_t count = std::min(largest, total - first);
      chunk(first, count);
      if (options.progress) options.progress((first + count) * batch(), total * batch());
    }
  }
};

Problem::Problem(const Model& model, const StepFunction& score, std::vector<Sequence> sequences, Options options)
    : state_(new State{model, score, std::move(sequences), std::move(options), {}, {}, {}, {}, {}, {}, {}, {}}) {
  State& state = *state_;
  if (state.sequences.empty()) throw InputError("no sequence to attribute; give at least one text");
  std::vector<TokenIds> targets, sources;
  std::int64_t most_steps = 0;
  for (const Sequence& sequence : state.sequences) {
    check(sequence, model.info());
    TokenIds target, source;
    for (std::int64_t i = 0; i < sequence.steps.end; ++i) target.push_back(sequence.target[i].id);
    for (const Token& token : sequence.source) source.push_back(token.id);
    targets.push_back(std::move(target));
    sources.push_back(std::move(source));
    most_steps = std::max(most_steps, sequence.steps.size());
  }
  state.inputs.target = pad(targets);
  if (model.info().kind == ModelKind::encoder_decoder) state.inputs.source = pad(sources);

  const auto batch = static_cast<std::int64_t>(state.sequences.size());
  state.positions = at::full({batch, most_steps}, kNoStep, at::kLong);
  state.step_ids = at::zeros({batch, most_steps}, at::kLong);
  for (std::int64_t b = 0; b < batch; ++b)
    for (std::int64_t t = 0; t < state.sequences[b].steps.size(); ++t) {
      const std::int64_t position = state.sequences[b].steps.start + t;
      state.positions.data_ptr<std::int64_t>()[b * most_steps + t] = position - 1;
      state.step_ids.data_ptr<std::int64_t>()[b * most_steps + t] = targets[b][position];
    }
  state.step_mask = state.positions != kNoStep;
}

Problem::~Problem() = default;

const Model& Problem::model() const { return state_->model; }
const std::vector<Sequence>& Problem::sequences() const { return state_->sequences; }
const Inputs& Problem::inputs() const { return state_->inputs; }
std::int64_t Problem::batch_size() const { return state_->batch(); }
std::int64_t Problem::length(Side side) const { return state_->length(side); }
std::int64_t Problem::steps() const { return state_->steps(); }
bool Problem::attributes(Side side) const { return state_->attributes(side); }
const Tensor& Problem::step_mask() const { return state_->step_mask; }
const Tensor& Problem::predicting_positions() const { return state_->positions; }
const Tensor& Problem::embeddings(Side side) const { return state_->embedding(side); }
const Tensor& Problem::baseline_embeddings(Side side) const { return state_->baseline(side); }
const Problem::Cost& Problem::cost() const { return state_->cost; }

Forward Problem::observe(const ObserveRequest& request) const {
  ForwardRequest forward;
  forward.attentions = request.attentions;
  forward.layer_states = request.layer_states;
  return state_->run_base(forward);
}

Tensor Problem::scores() const { return scores(state_->score); }

Tensor Problem::scores(const StepFunction& function) const {
  at::NoGradGuard no_grad;
  if (!state_->base_logits.defined()) state_->run_base({});
  return state_->score_steps(function, state_->base_logits, 1);
}

Tensor Problem::scores(const Nodes& nodes) const {
  at::NoGradGuard no_grad;
  State& state = *state_;
  const auto total = static_cast<std::int64_t>(nodes.alphas.size());
  Tensor result = at::empty({total, state.batch(), state.steps()});
  state.in_chunks(total, false, [&](std::int64_t first, std::int64_t count) {
    const Inputs pass = state.at_nodes(at::ArrayRef<double>(nodes.alphas).slice(first, count));
    const Forward forward = state.run(pass, count, {});
    result.narrow(0, first, count)
        .copy_(state.score_steps(state.score, forward.logits, count).view({count, state.batch(), state.steps()}));
  });
  return result;
}

Tensor Problem::scores(const Variants& variants) const {
  at::NoGradGuard no_grad;
  State& state = *state_;
  const Tensor& either = variants.target_mask.defined() ? variants.target_mask : variants.source_mask;
  const std::int64_t total = either.defined() ? either.size(0) : 0;
  Tensor result = at::empty({total, state.batch(), state.steps()});
  state.in_chunks(total, false, [&](std::int64_t first, std::int64_t count) {
    const Forward forward = state.run(state.with_variants(variants, first, count), count, {});
    result.narrow(0, first, count)
        .copy_(state.score_steps(state.score, forward.logits, count).view({count, state.batch(), state.steps()}));
  });
  return result;
}

Gradients Problem::gradients(const Nodes& nodes, const GradientRequest& request) const {
  State& state = *state_;
  if (nodes.alphas.size() != nodes.weights.size() || nodes.alphas.empty())
    throw Error(ExitStatus::plugin, "a path needs one weight for each node and at least one node, found " +
                                        std::to_string(nodes.alphas.size()) + " nodes and " +
                                        std::to_string(nodes.weights.size()) + " weights");
  const auto total = static_cast<std::int64_t>(nodes.alphas.size());
  Gradients sum;
  PullBackRequest sides;
  sides.source = state.attributes(Side::source);
  sides.target = state.attributes(Side::target);
  state.in_chunks(total, true, [&](std::int64_t first, std::int64_t count) {
    ForwardRequest traced;
    traced.trace = true;
    const Inputs pass = state.at_nodes(at::ArrayRef<double>(nodes.alphas).slice(first, count));
    const Forward forward = state.run(pass, count, traced);
    Cotangents cotangents;
    {
      at::AutoGradMode with_grad(true);
      const Tensor logits = forward.logits.detach().requires_grad_(true);
      const Tensor scores = state.score_steps(state.score, logits, count);
      if (!scores.requires_grad())
        throw ConfigError(
            "the attributed function is not differentiable, but the method needs gradients; "
            "choose another function, or a method that only needs scores");
      // Steps don't share rows, so one backward of the sum gives every step's own cotangent.
      cotangents.logits = torch::autograd::grad({scores.sum()}, {logits}).front();
    }
    at::NoGradGuard no_grad;
    const Gradients chunk = state.model.pull_back(forward, cotangents, sides);
    ++state.cost.backward_passes;
    state.cost.backward_tokens += count * state.batch() * state.tokens() * state.steps();
    const auto accumulate = [&](Tensor& into, const Tensor& gradients) {
      if (!gradients.defined()) return;
      for (std::int64_t k = 0; k < count; ++k) {
        const Tensor node = gradients.narrow(0, k * state.batch(), state.batch());
        if (into.defined())
          into.add_(node, nodes.weights[first + k]);
        else
          into = node * nodes.weights[first + k];
      }
    };
    if (sides.source) accumulate(sum.source, chunk.source);
    if (sides.target) accumulate(sum.target, chunk.target);
  });

  at::NoGradGuard no_grad;
  const auto finish = [&](Tensor& gradients, Side side) {
    if (!gradients.defined()) return;
    if (request.multiply == Multiply::input) gradients.mul_(state.embedding(side).unsqueeze(2));
    if (request.multiply == Multiply::input_minus_baseline)
      gradients.mul_((state.embedding(side) - state.baseline(side)).unsqueeze(2));
    if (request.absolute) gradients.abs_();
  };
  finish(sum.source, Side::source);
  finish(sum.target, Side::target);
  return sum;
}

}  // namespace whence
