#include "gradient_sums.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <limits>

namespace whence {

GradientFinish::GradientFinish(ProblemState& state, const GradientRequest& request)
    : state_(state), request_(request), reduction_(request.keep_hidden ? nullptr : state.options.hidden_reduction) {
  for (const Side side : {Side::source, Side::target}) {
    if (!state.attributes(side)) continue;
    if (request.multiply != Multiply::nothing) state.embedding(side);
    if (request.multiply == Multiply::input_minus_baseline) state.baseline(side);
  }
}

Tensor GradientFinish::results(Side side) const {
  if (!state_.attributes(side)) return {};
  if (reduces()) return at::zeros({state_.batch(), state_.length(side), state_.steps()});
  return at::zeros({state_.batch(), state_.length(side), state_.steps(), state_.model.info().embedding});
}

InputGradients GradientFinish::input_gradients(Tensor source, Tensor target) const {
  if (reduces()) state_.reduced_hidden = true;
  InputGradients gradients{std::move(source), std::move(target), {}};
  if (!reduces()) gradients.granularity = {"hidden"};
  return gradients;
}

Tensor GradientFinish::factor(Side side, std::int64_t sequence) const {
  if (request_.multiply == Multiply::nothing) return {};
  const std::int64_t rows = state_.rows_of(side, sequence);
  const Tensor input = state_.embedding(side)[sequence].narrow(0, 0, rows);
  if (request_.multiply == Multiply::input) return input;
  return input - state_.baseline(side)[sequence].narrow(0, 0, rows);
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

void run_traced(ProblemState& state, const Pass& pass, const TracedPass& request, const TakeGradients& take) {
  const Tensor asked = state.positions_of(pass.units, pass.first_step, pass.steps, request.active);
  ForwardRequest traced{.positions = asked, .trace = true, .shared = request.shared};
  Forward forward = state.model.forward(
      request.rows ? state.inputs_of(pass.units, *request.rows) : state.inputs_of(pass.units), traced);
  Tensor logits = std::move(forward.logits);
  forward.logits = logits;
  Tensor kept = request.remember ? logits.clone() : Tensor();
  const Tensor scores = state.score_to_cotangents(logits, pass.units, pass.first_step, asked);
  if (request.remember) state.remember(pass.units, kept, scores);
  kept.reset();
  PullBackRequest sides;
  sides.source = request.source;
  sides.target = request.target;
  sides.first_changed_only = request.first_changed_only;
  sides.attentions = request.attentions;
  for (std::int64_t first = 0; first < pass.steps; first += pass.steps_at_once) {
    const std::int64_t count = std::min(pass.steps_at_once, pass.steps - first);
    if (!asked.narrow(1, first, count).ge(0).any().item<bool>()) continue;  // no text has a step here
    Gradients gradients = state.model.pull_back(forward, {logits.narrow(1, first, count), first}, sides);
    take(gradients, pass.first_step + first, count);
  }
}

void visit_attention_gradients(ProblemState& state, const std::function<void(const AttentionGradient&)>& visit) {
  state.drop_prefix();
  const PassKind kind{.steps = state.steps(), .trace = true, .attentions = true};
  state.plan().require({state.plan().demand(state.whole(), kind, state.held())});
  ProblemState::Meter meter(state, state.batch());
  for (const Pass& pass : state.plan().passes(state.whole(), kind, state.held())) {
    TracedPass traced{.target = true, .remember = true};
    traced.attentions = [&](const AttentionGradient& of_pass) {
      AttentionGradient shown = of_pass;
      shown.sequence = pass.units[static_cast<std::size_t>(of_pass.sequence)].sequence;
      shown.step += pass.first_step;
      visit(shown);
    };
    run_traced(state, pass, traced, [](Gradients&, std::int64_t, std::int64_t) {});
    meter.add(pass.units.size());
  }
}

InputGradients input_gradients(ProblemState& state, const GradientRequest& request) {
  state.drop_prefix();
  const GradientFinish finish(state, request);
  Tensor results[2] = {finish.results(Side::source), finish.results(Side::target)};  // in the order of pull_back
  const Side sides[2] = {Side::source, Side::target};
  std::int64_t held = state.held();
  for (const Tensor& result : results)
    if (result.defined()) held += result.numel() * static_cast<std::int64_t>(sizeof(float));
  const PassKind kind{.steps = state.steps(), .trace = true};
  state.plan().require({state.plan().demand(state.whole(), kind, held)});
  TracedPass traced{.remember = true};
  traced.source = state.attributes(Side::source);
  traced.target = state.attributes(Side::target);
  ProblemState::Meter meter(state, state.batch());
  for (const Pass& pass : state.plan().passes(state.whole(), kind, held)) {
    run_traced(state, pass, traced, [&](Gradients& gradients, std::int64_t first, std::int64_t count) {
      for (const int i : {0, 1}) {
        if (!results[i].defined()) continue;
        const Tensor& all = i == 0 ? gradients.source : gradients.target;
        for (std::size_t u = 0; u < pass.units.size(); ++u) {
          const std::int64_t b = pass.units[u].sequence, rows = state.rows_of(sides[i], b);
          Tensor own = all[static_cast<std::int64_t>(u)].narrow(0, 0, rows);
          finish.multiply(own, finish.factor(sides[i], b));
          results[i][b].narrow(0, 0, rows).narrow(1, first, count).copy_(finish.finish(own));
        }
      }
    });
    meter.add(pass.units.size());
  }
  return finish.input_gradients(std::move(results[0]), std::move(results[1]));
}

}  // namespace whence
