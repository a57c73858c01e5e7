#include "step_scoring.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

#include "problem_state.h"
#include "whence/error.h"

namespace whence {
namespace {

constexpr std::int64_t kNoStep = -1;
/// Logits that the step function sees at a time, so that what it makes of them stays small.
constexpr std::int64_t kScoredLogits = std::int64_t{1} << 22;

void require_shape(const Tensor& scores, const Tensor& positions) {
  if (scores.sizes() != positions.sizes())
    throw Error(ExitStatus::plugin,
                "the step function returned scores of another shape than [B,T]; expected one score for each step");
}

/// Calls work(first, count) for as many texts at a time as a step function should see.
template <class Work>
void for_some_texts(const Tensor& logits, const Work& work) {
  const std::int64_t texts = logits.size(0);
  const std::int64_t together = std::max<std::int64_t>(1, kScoredLogits / (logits.size(1) * logits.size(2)));
  for (std::int64_t first = 0; first < texts; first += together) work(first, std::min(together, texts - first));
}

Tensor some_of(const Tensor& values, std::int64_t first, std::int64_t count) {
  return values.defined() ? values.narrow(0, first, count) : values;
}

}  // namespace

void require_dropout(const StepNeeds& needs, const Model& model) {
  if (needs.dropout_samples > 0 && !model.query(Dropout::kCapability))
    throw ConfigError("the step function needs passes with dropout, but the checkpoint of model '" + model.info().name +
                      "' has none; choose another function");
}

const ContrastTexts& StepScoring::contrast() {
  if (!contrast_) contrast_.emplace(state_.model.info(), state_.sequences, state_.step_ids, state_.read_positions);
  return *contrast_;
}

bool StepScoring::live(const StepFunction& function, StepRole role) {
  const StepNeeds needs = function.needs(role);
  if (role != StepRole::attributed || !needs.contrast_logits || needs.fixed_contrast) return false;
  return (state_.attributes(Side::source) && !contrast().gives(Side::source)) ||
         (state_.attributes(Side::target) && !contrast().gives(Side::target));
}

bool StepScoring::needs_logits_alone(const StepFunction& function, StepRole role) {
  return function.needs(role).dropout_samples == 0 && !live(function, role);
}

std::vector<PassPlan::Rows> StepScoring::contrast_rows() { return contrast().rows(state_.pass_rows); }

std::int64_t StepScoring::held() const {
  return fixed_logits_.defined() ? static_cast<std::int64_t>(fixed_logits_.nbytes()) : 0;
}

PassPlan::Beside StepScoring::beside(const StepFunction& function, StepRole role) {
  const StepNeeds needs = function.needs(role);
  PassPlan::Beside beside{.text = live(function, role), .reads = state_.reads};
  // As those of the method, twice: of the rows that are asked for, and in their places.
  if (beside.text) beside.logits += 2;
  if (needs.dropout_samples > 0) beside.logits += needs.dropout_samples + 1;
  return beside;
}

void StepScoring::prepare(const StepFunction& function, StepRole role) {
  const StepNeeds needs = function.needs(role);
  require_dropout(needs, state_.model);
  if (!needs.contrast_ids && !needs.contrast_logits) return;
  if (!needs.contrast_logits && !contrast().gives(Side::target))
    throw ConfigError(
        "the contrast has a source, but no target, so the explained step function compares every token with itself in "
        "the same logits; set contrast_force_inputs: true to compare with a pass over that source, or give a target");
  if (needs.contrast_logits && !live(function, role)) fixed_logits();
}

void StepScoring::prepare_fixed_contrast() {
  if (state_.score.needs(StepRole::attributed).contrast_logits) fixed_logits();
}

const Tensor& StepScoring::fixed_logits() {
  if (fixed_logits_.defined()) return fixed_logits_;
  state_.drop_prefix();
  const Tensor logits = at::empty({state_.batch(), state_.steps() * state_.reads, state_.model.info().vocabulary});
  const std::int64_t held = state_.held() + static_cast<std::int64_t>(logits.nbytes());
  const PassPlan plan(state_.model.info(), contrast_rows(), state_.options.memory_bytes, {.reads = state_.reads});
  const PassKind kind{.steps = state_.steps()};
  plan.require({plan.demand(state_.whole(), kind, held)});
  for (const Pass& pass : plan.passes(state_.whole(), kind, held)) {
    const Inputs inputs = state_.inputs_of(pass.units);
    const Tensor asked = state_.positions_of(pass.units, 0, state_.steps());
    const Forward forward = contrast_pass({pass.units, inputs, 0, asked}, /*trace=*/false);
    logits.index_copy_(0, sequences_of(pass.units), forward.logits);
  }
  return fixed_logits_ = logits;
}

Forward StepScoring::contrast_pass(const ScoredPass& pass, bool trace) {
  const Tensor sequences = sequences_of(pass.units);
  return state_.model.forward(
      contrast().inputs_of(sequences, pass.inputs),
      {.positions = contrast().positions_of(sequences, pass.first_step * state_.reads, pass.positions),
       .trace = trace});
}

std::vector<Tensor> StepScoring::dropout_logits(const StepNeeds& needs, const ScoredPass& pass) const {
  std::vector<Tensor> samples;
  Dropout dropout{.seed = state_.options.seed};
  for (const Unit& unit : pass.units)
    dropout.sequence_ids.push_back(state_.sequences[static_cast<std::size_t>(unit.sequence)].id);
  for (; dropout.sample < needs.dropout_samples; ++dropout.sample)
    samples.push_back(state_.model.forward(pass.inputs, {.positions = pass.positions, .dropout = dropout}).logits);
  return samples;
}

StepInputs StepScoring::inputs_of(const Shown& shown, const ScoredPass& pass, std::int64_t first, const Tensor& logits,
                                  const Tensor& live) {
  const std::int64_t count = logits.size(0);
  const Tensor sequences = sequences_of(pass.units).narrow(0, first, count);
  const auto of_rows = [&](const Tensor& all) {
    return all.narrow(1, pass.first_step * state_.reads, logits.size(1)).index_select(0, sequences);
  };
  StepInputs inputs{.logits = logits, .target_ids = of_rows(state_.step_ids)};
  if (shown.needs.contrast_ids || shown.needs.contrast_logits) {
    inputs.contrast_ids = of_rows(contrast().ids());
    if (!shown.needs.contrast_logits)
      inputs.contrast_logits = logits;
    else
      inputs.contrast_logits = live.defined() ? live : of_rows(fixed_logits());
  }
  for (const Tensor& sample : shown.samples) inputs.dropout_logits.push_back(sample.narrow(0, first, count));
  return inputs;
}

Tensor StepScoring::of_steps(const Tensor& row_scores, const ScoredPass& pass) const {
  if (state_.reads == 1) return row_scores;
  return (row_scores * state_.shares_of(pass)).unflatten(1, {-1, state_.reads}).sum(-1);
}

Tensor StepScoring::row_scores(const StepFunction& function, StepRole role, const Tensor& logits,
                               const ScoredPass& pass, const Forward* contrast) {
  Shown shown{.needs = function.needs(role)};
  shown.samples = dropout_logits(shown.needs, pass);
  if (live(function, role)) shown.live = contrast ? contrast->logits : contrast_pass(pass, /*trace=*/false).logits;
  Tensor scores = at::empty(pass.positions.sizes(), at::kFloat);
  for_some_texts(logits, [&](std::int64_t first, std::int64_t count) {
    const Tensor some = function.score(
        inputs_of(shown, pass, first, logits.narrow(0, first, count), some_of(shown.live, first, count)));
    require_shape(some, pass.positions.narrow(0, first, count));
    scores.narrow(0, first, count).copy_(some);
  });
  return at::where(pass.positions != kNoStep, scores, 0.0);
}

Tensor StepScoring::scores_to_cotangents(Tensor& logits, const ScoredPass& pass, Forward* contrast) {
  Shown shown{.needs = state_.score.needs(StepRole::attributed)};
  shown.samples = dropout_logits(shown.needs, pass);
  Tensor scores = at::empty(pass.positions.sizes(), at::kFloat);
  const Tensor shares = state_.reads == 1 ? Tensor() : state_.shares_of(pass);
  for_some_texts(logits, [&](std::int64_t first, std::int64_t count) {
    std::vector<Tensor> rows{logits.narrow(0, first, count)}, leaves, cotangents;
    if (contrast) rows.push_back(contrast->logits.narrow(0, first, count));
    Tensor some;
    {
      at::AutoGradMode with_grad(true);
      for (const Tensor& each : rows) leaves.push_back(each.detach().clone().requires_grad_(true));
      const Tensor mask = pass.positions.narrow(0, first, count) != kNoStep;
      some = state_.score.score(inputs_of(shown, pass, first, leaves[0], contrast ? leaves[1] : Tensor()));
      require_shape(some, mask);
      some = at::where(mask, some.to(at::kFloat), 0.0);
      if (!some.requires_grad())
        throw ConfigError(
            "the attributed function is not differentiable, but the method needs gradients; "
            "choose another function, or a method that only needs scores");
      // Steps don't share rows, so one backward of the sum gives every step's own cotangent.
      const Tensor sum = shares.defined() ? (some * shares.narrow(0, first, count)).sum() : some.sum();
      cotangents = torch::autograd::grad({sum}, leaves, {}, {}, false, /*allow_unused=*/true);
    }
    at::NoGradGuard no_grad;
    scores.narrow(0, first, count).copy_(some);
    for (std::size_t i = 0; i < rows.size(); ++i)
      rows[i].copy_(cotangents[i].defined() ? cotangents[i] : at::zeros_like(rows[i]));
  });
  return scores;
}

PullBackRequest StepScoring::shared_ends(const PullBackRequest& ends) {
  PullBackRequest shared = ends;
  shared.first_changed_only = false;
  shared.attentions = {};
  shared.source = ends.source && contrast().shares({Side::source, 0});
  shared.target = ends.target && contrast().shares({Side::target, 0});
  std::erase_if(shared.layers, [&](const LayerSite& site) { return !contrast().shares(site); });
  if (ends.attentions) {
    shared.source = shared.target = false;
    shared.layers.clear();
  }
  return shared;
}

void StepScoring::add_shared(Gradients& gradients, const PullBackRequest& ends, const Gradients& contrast,
                             const PullBackRequest& shared, const std::vector<Unit>& units) {
  if (shared.source) gradients.source.add_(contrast.source);
  if (shared.target && !ends.first_changed_only) gradients.target.add_(contrast.target);
  if (shared.target && ends.first_changed_only)
    for (std::int64_t u = 0; u < std::ssize(units); ++u)
      gradients.target[u][0].add_(contrast.target[u][units[static_cast<std::size_t>(u)].first_row]);
  for (std::size_t i = 0; i < shared.layers.size(); ++i) {
    const auto place = std::ranges::find(ends.layers, shared.layers[i]) - ends.layers.begin();
    gradients.layers[static_cast<std::size_t>(place)].add_(contrast.layers[i]);
  }
}

}  // namespace whence
