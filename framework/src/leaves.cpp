#include "leaves.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

namespace whence {
namespace {

constexpr std::int64_t kFloat = sizeof(float);

bool all_known(const std::vector<bool>& known) { return std::ranges::find(known, false) == known.end(); }

}  // namespace

Leaves::Leaves(ProblemState& state, std::vector<LayerSite> sites) : state_(state), sites_(std::move(sites)) {
  if (sites_.size() == 2 && sites_[0].stack == sites_[1].stack)
    throw Error(ExitStatus::plugin, "gradients at two layers of one side were asked for; give one layer for each side");
  if (!at_layers()) return;
  allocate(input_);
}

bool Leaves::has(Side side) const {
  if (!at_layers()) return state_.attributes(side);
  return std::ranges::find(sites_, side, &LayerSite::stack) != sites_.end();
}

std::size_t Leaves::index(Side side) const {
  return static_cast<std::size_t>(std::ranges::find(sites_, side, &LayerSite::stack) - sites_.begin());
}

std::int64_t Leaves::width() const { return at_layers() ? state_.model.info().hidden : state_.model.info().embedding; }

const Tensor& Leaves::input(Side side) {
  if (!at_layers()) return state_.embedding(side);
  if (!all_known(input_.known)) capture_input();
  return input_.values[index(side)];
}

const Tensor& Leaves::baseline(Side side) {
  if (!at_layers()) return state_.baseline(side);
  if (baseline_.values.empty() || !all_known(baseline_.known)) capture_baseline();
  return baseline_.values[index(side)];
}

Tensor Leaves::baseline_scores() {
  if (baseline_scores_.defined() && all_known(baseline_.known)) return baseline_scores_;
  if (!at_layers()) return state_.scores(Nodes{{0.0}, {1.0}})[0];
  capture_baseline();
  return baseline_scores_;
}

Tensor Leaves::baseline_rows(const Unit& unit, Side side) {
  if (!has(side)) return {};
  return state_.baseline(side)[unit.sequence].narrow(0, 0, state_.rows_of(side, unit.sequence));
}

PullBackRequest Leaves::ends() const {
  PullBackRequest ends;
  ends.source = !at_layers() && has(Side::source);
  ends.target = !at_layers() && has(Side::target);
  ends.layers = sites_;
  return ends;
}

Tensor& Leaves::of(Gradients& gradients, Side side) const {
  if (at_layers()) return gradients.layers[index(side)];
  return side == Side::source ? gradients.source : gradients.target;
}

std::int64_t Leaves::bytes() const {
  std::int64_t bytes = 0;
  for (const States* states : {&input_, &baseline_})
    for (const Tensor& values : states->values) bytes += values.numel() * kFloat;
  return bytes;
}

void Leaves::allocate(States& states) const {
  states.values.clear();
  for (const LayerSite& site : sites_)
    states.values.push_back(at::zeros({state_.batch(), state_.length(site.stack), width()}));
  states.known.assign(static_cast<std::size_t>(state_.batch()), false);
}

void Leaves::put(States& states, const std::vector<Unit>& units, const Forward& forward) const {
  for (std::size_t u = 0; u < units.size(); ++u) {
    const std::int64_t b = units[u].sequence;
    states.known[static_cast<std::size_t>(b)] = true;
    for (std::size_t i = 0; i < sites_.size(); ++i) {
      const std::int64_t rows = state_.rows_of(sites_[i].stack, b);
      states.values[i][b].narrow(0, 0, rows).copy_(forward.states[i][static_cast<std::int64_t>(u)].narrow(0, 0, rows));
    }
  }
}

void Leaves::remember_input(const std::vector<Unit>& units, const Forward& forward) {
  if (at_layers()) put(input_, units, forward);
}

void Leaves::remember_baseline(const std::vector<Unit>& units, const Forward& forward, const Tensor& scores) {
  if (baseline_.known.empty()) allocate(baseline_);
  if (!baseline_scores_.defined()) baseline_scores_ = at::zeros({state_.batch(), state_.steps()});
  put(baseline_, units, forward);
  for (std::size_t u = 0; u < units.size(); ++u)
    baseline_scores_[units[u].sequence].copy_(scores[static_cast<std::int64_t>(u)]);
}

void Leaves::capture_input() {
  const PassKind kind{.steps = state_.steps()};
  state_.plan().require({state_.plan().demand(state_.whole(), kind, state_.held())});
  for (const Pass& pass : state_.plan().passes(state_.whole(), kind, state_.held())) {
    const Tensor asked = state_.positions_of(pass.units, 0, state_.steps());
    const Inputs texts = state_.inputs_of(pass.units);
    const Forward forward = state_.model.forward(texts, {.positions = asked, .sites = sites_});
    put(input_, pass.units, forward);
    state_.score_and_remember(forward.logits, {pass.units, texts, 0, asked});
  }
}

void Leaves::capture_baseline() {
  allocate(baseline_);
  for (const Side side : {Side::source, Side::target})
    if (has(side)) state_.baseline(side);
  const ProblemState::RowsOf rows = [&](const Unit& unit, Side side) { return baseline_rows(unit, side); };
  const PassKind kind{.steps = state_.steps(), .embeddings = true};
  state_.plan().require({state_.plan().demand(state_.whole(), kind, state_.held())});
  for (const Pass& pass : state_.plan().passes(state_.whole(), kind, state_.held())) {
    const Tensor asked = state_.positions_of(pass.units, 0, state_.steps());
    const Inputs texts = state_.inputs_of(pass.units, rows);
    const Forward forward = state_.model.forward(texts, {.positions = asked, .sites = sites_});
    remember_baseline(pass.units, forward, state_.score_pass(forward.logits, {pass.units, texts, 0, asked}));
  }
}

}  // namespace whence
