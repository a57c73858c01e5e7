#include "gradient_sums.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <limits>
#include <map>

namespace whence {

GradientFinish::GradientFinish(ProblemState& state, Leaves& leaves, const GradientRequest& request)
    : state_(state),
      leaves_(leaves),
      request_(request),
      reduction_(request.keep_hidden ? nullptr : state.options.hidden_reduction) {
  for (const Side side : {Side::source, Side::target}) {
    if (!leaves.has(side) || leaves.at_layers()) continue;
    if (request.multiply != Multiply::nothing) state.embedding(side);
    if (from_baseline()) state.baseline(side);
  }
}

Tensor GradientFinish::results(Side side) const {
  if (!leaves_.has(side)) return {};
  if (reduces()) return at::zeros({state_.batch(), state_.length(side), state_.steps()});
  return at::zeros({state_.batch(), state_.length(side), state_.steps(), leaves_.width()});
}

InputGradients GradientFinish::input_gradients(Tensor source, Tensor target) const {
  if (reduces()) state_.reduced_hidden = true;
  InputGradients gradients{.source = std::move(source), .target = std::move(target)};
  if (!reduces()) gradients.granularity = {"hidden"};
  return gradients;
}

Tensor GradientFinish::factor(Side side, std::int64_t sequence) const {
  if (request_.multiply == Multiply::nothing) return {};
  const std::int64_t rows = state_.rows_of(side, sequence);
  const Tensor input = leaves_.input(side)[sequence].narrow(0, 0, rows);
  if (request_.multiply == Multiply::input) return input;
  return input - leaves_.baseline(side)[sequence].narrow(0, 0, rows);
}

void GradientFinish::multiply(Tensor& gradients, const Tensor& factor) const {
  if (factor.defined()) gradients.mul_(factor.unsqueeze(1));
}

Tensor GradientFinish::finish(Tensor gradients) const {
  if (request_.absolute) gradients.abs_();
  if (!reduces()) return gradients;
  // A reduction may pass over what is no finite number; nothing of a token counts then.
  const Tensor finite = at::isfinite(gradients.sum(-1));
  return at::where(finite, reduction_->reduce(gradients), std::numeric_limits<float>::quiet_NaN());
}

namespace {

/// Gradients of some steps of a pass, each of which may read several rows. An error of the model, e.g. numbers that are
/// not finite, gets its step.
Gradients pull_back(const ProblemState& state, const Pass& pass, const Forward& forward, const Tensor& cotangents,
                    std::int64_t first, std::int64_t count, const PullBackRequest& request) {
  const std::int64_t reads = state.reads;
  try {
    return state.model.pull_back(forward, {cotangents.narrow(1, first * reads, count * reads), first * reads, reads},
                                 request);
  } catch (const ModelError& error) {
    if (count == 1) throw ModelError("step " + std::to_string(pass.first_step + first) + ", " + error.what());
    for (std::int64_t step = first; step < first + count; ++step)
      pull_back(state, pass, forward, cotangents, step, 1, request);
    throw;
  }
}

}  // namespace

void run_traced(ProblemState& state, const Pass& pass, const TracedPass& request, const TakeGradients& take) {
  const Tensor asked = state.positions_of(pass.units, pass.first_step, pass.steps, request.active);
  ForwardRequest traced{.positions = asked, .trace = true, .shared = request.shared};
  if (request.show) traced.sites = request.ends.layers;
  const Inputs inputs =
      request.rows ? state.inputs_of(pass.units, *request.rows, request.begins) : state.inputs_of(pass.units);
  Forward forward = state.model.forward(inputs, traced);
  const ScoredPass scored{pass.units, inputs, pass.first_step, asked};
  StepScoring& scoring = state.scoring();
  const bool live = scoring.live(state.score, StepRole::attributed);
  PullBackRequest shared = live ? scoring.shared_ends(request.ends) : PullBackRequest{.target = false};
  shared.reference = request.contrast_reference;
  const bool through_contrast = shared.source || shared.target || !shared.layers.empty();
  Forward contrast;
  if (live) contrast = scoring.contrast_pass(scored, through_contrast);
  Tensor logits = std::move(forward.logits);
  forward.logits = logits;
  Tensor kept = request.show ? logits.clone() : Tensor();
  const Tensor scores = scoring.scores_to_cotangents(logits, scored, live ? &contrast : nullptr);
  if (request.show) {
    state.remember(pass.units, kept, scores);
    request.show(forward);
  }
  kept.reset();
  for (std::int64_t first = 0; first < pass.steps; first += pass.steps_at_once) {
    const std::int64_t count = std::min(pass.steps_at_once, pass.steps - first);
    if (!asked.narrow(1, first * state.reads, count * state.reads).ge(0).any().item<bool>())
      continue;  // no text has a step here
    Gradients gradients = pull_back(state, pass, forward, logits, first, count, request.ends);
    if (through_contrast)
      StepScoring::add_shared(gradients, request.ends,
                              pull_back(state, pass, contrast, contrast.logits, first, count, shared), shared,
                              pass.units);
    take(gradients, pass.first_step + first, count);
  }
}

void visit_attention_gradients(ProblemState& state, const std::function<void(const AttentionGradient&)>& visit) {
  state.require_single_steps("gradients of attention weights");
  state.drop_prefix();
  const PassKind kind{.steps = state.steps(), .trace = true, .attentions = true};
  state.plan().require({state.plan().demand(state.whole(), kind, state.held())});
  ProblemState::Meter meter(state, state.batch());
  for (const Pass& pass : state.plan().passes(state.whole(), kind, state.held())) {
    TracedPass traced;
    traced.show = [](const Forward&) {};
    traced.ends.attentions = [&](const AttentionGradient& of_pass) {
      AttentionGradient shown = of_pass;
      shown.sequence = pass.units[static_cast<std::size_t>(of_pass.sequence)].sequence;
      shown.step += pass.first_step;
      visit(shown);
    };
    run_traced(state, pass, traced, [](Gradients&, std::int64_t, std::int64_t) {});
    meter.add(pass.units.size());
  }
}

namespace {

bool needs_reference(const std::vector<BackwardRule>& rules) {
  return std::ranges::find(rules, "deeplift", &BackwardRule::rule) != rules.end();
}

/// Passes over texts and, where these are live, over their contrastive texts.
struct BaselinePasses {
  Forward texts, contrast;
};

/// The texts of a pass at the baseline of their leaves, traced when rules compare with it.
BaselinePasses run_baseline(ProblemState& state, Leaves& leaves, const Pass& pass, bool traced) {
  const Tensor asked = state.positions_of(pass.units, pass.first_step, pass.steps);
  const ProblemState::RowsOf rows = [&](const Unit& unit, Side side) { return leaves.baseline_rows(unit, side); };
  const Inputs inputs = state.inputs_of(pass.units, rows);
  const ScoredPass scored{pass.units, inputs, pass.first_step, asked};
  BaselinePasses passes;
  passes.texts = state.model.forward(inputs, {.positions = asked, .trace = traced, .sites = leaves.sites()});
  const bool live = state.scoring().live(state.score, StepRole::attributed);
  if (live) passes.contrast = state.scoring().contrast_pass(scored, traced);
  leaves.remember_baseline(pass.units, passes.texts,
                           state.score_pass(passes.texts.logits, scored, live ? &passes.contrast : nullptr));
  passes.texts.states.clear();
  return passes;
}

}  // namespace

InputGradients input_gradients(ProblemState& state, const GradientRequest& request) {
  state.drop_prefix();
  Leaves& leaves = state.leaves(request.layers);
  const GradientFinish finish(state, leaves, request);
  const bool reference = needs_reference(request.rules);
  const bool at_baseline = reference || request.gap || (leaves.at_layers() && finish.from_baseline());
  if (at_baseline)
    for (const Side side : {Side::source, Side::target})
      if (leaves.has(side)) state.baseline(side);
  std::map<Side, Tensor> results;
  std::int64_t held = state.held();
  for (const Side side : {Side::source, Side::target})
    if (leaves.has(side))
      held += (results[side] = finish.results(side)).numel() * static_cast<std::int64_t>(sizeof(float));
  const PassKind kind{.steps = state.steps(), .embeddings = at_baseline, .trace = true, .reference = reference};
  state.plan().require({state.plan().demand(state.whole(), kind, held)});
  Tensor total = at::zeros({state.batch(), state.steps()}, at::kDouble);
  ProblemState::Meter meter(state, state.batch());
  for (const Pass& pass : state.plan().passes(state.whole(), kind, held)) {
    TracedPass traced;
    traced.ends = leaves.ends();
    traced.ends.rules = request.rules;
    BaselinePasses baseline;
    if (at_baseline) baseline = run_baseline(state, leaves, pass, reference);
    if (reference) traced.ends.reference = &baseline.texts;
    if (baseline.contrast.trace) traced.contrast_reference = &baseline.contrast;
    traced.show = [&](const Forward& forward) { leaves.remember_input(pass.units, forward); };
    run_traced(state, pass, traced, [&](Gradients& gradients, std::int64_t first, std::int64_t count) {
      for (auto& [side, result] : results)
        for (std::size_t u = 0; u < pass.units.size(); ++u) {
          const std::int64_t b = pass.units[u].sequence, rows = state.rows_of(side, b);
          Tensor own = leaves.of(gradients, side)[static_cast<std::int64_t>(u)].narrow(0, 0, rows);
          finish.multiply(own, finish.factor(side, b));
          if (request.gap) total[b].narrow(0, first, count).add_(own.sum({0, 2}, /*keepdim=*/false, at::kDouble));
          result[b].narrow(0, 0, rows).narrow(1, first, count).copy_(finish.finish(own));
        }
    });
    meter.add(pass.units.size());
  }
  InputGradients gradients = finish.input_gradients(results[Side::source], results[Side::target]);
  if (request.gap) gradients.gap = gap_of(state, leaves, total);
  return gradients;
}

Tensor gap_of(ProblemState& state, Leaves& leaves, const Tensor& total) {
  const Tensor difference = state.base_scores().to(at::kDouble) - leaves.baseline_scores();
  return at::where(state.step_mask, total - difference, 0.0).to(at::kFloat);
}

}  // namespace whence
