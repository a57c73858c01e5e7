#include "whence/problem.h"

#include <ATen/core/grad_mode.h>

#include "gradient_sums.h"
#include "layer_gradients.h"
#include "path_integral.h"
#include "problem_state.h"
#include "variant_scores.h"
#include "whence/hidden_reduction.h"

namespace whence {

Problem::Problem(const Model& model, const StepFunction& score, std::vector<Sequence> sequences, Options options)
    : state_(std::make_unique<ProblemState>(model, score, std::move(sequences), std::move(options))) {}

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

RandomStream Problem::random(std::int64_t sequence, std::string_view purpose, std::int64_t sample) const {
  return RandomStream({.seed = state_->options.seed,
                       .sequence = state_->sequences.at(static_cast<std::size_t>(sequence)).id,
                       .purpose = purpose,
                       .sample = static_cast<std::uint64_t>(sample)});
}
const Tensor& Problem::baseline_ids(Side side) const { return state_->baseline_ids(side); }

Tensor Problem::scores() const { return scores(state_->score); }

Tensor Problem::scores(const StepFunction& function) const {
  const at::NoGradGuard no_grad;
  return state_->scores(function, StepRole::recorded).clone();
}

Tensor Problem::scores(const Nodes& nodes) const {
  const at::NoGradGuard no_grad;
  return state_->scores(nodes);
}

Tensor Problem::scores(const Points& points) const {
  const at::NoGradGuard no_grad;
  return state_->scores(points);
}

Tensor Problem::scores(const Variants& variants) const { return scores(variants, state_->score); }

Tensor Problem::scores(const Variants& variants, const StepFunction& function) const {
  const at::NoGradGuard no_grad;
  return VariantScores(*state_, variants, function).run();
}

InputGradients Problem::gradients(const GradientRequest& request) const {
  const at::NoGradGuard no_grad;
  return input_gradients(*state_, request);
}

PointGradients Problem::gradients(const Points& points, const GradientRequest& request) const {
  const at::NoGradGuard no_grad;
  return PathIntegrator(*state_, points, request).run_points();
}

InputGradients Problem::layer_gradients(const GradientRequest& request) const {
  const at::NoGradGuard no_grad;
  return whence::layer_gradients(*state_, request);
}

PathIntegral Problem::integrate(const Path& path, const GradientRequest& request) const {
  const at::NoGradGuard no_grad;
  return PathIntegrator(*state_, path, request).run();
}

bool Problem::sums_hidden_units() const {
  const bool sums = state_->options.hidden_reduction && state_->options.hidden_reduction->is_sum();
  if (sums) state_->reduced_hidden = true;
  return sums;
}

bool Problem::reduced_hidden_units() const { return state_->reduced_hidden; }

bool Problem::may_stop_early() const { return state_->may_stop_early; }

Forward Problem::observe(const ObserveRequest& request) const {
  const at::NoGradGuard no_grad;
  return state_->observe(request);
}

void Problem::decompose(const std::string& method, bool weights_only, const BlockDecomposition::Visitor& visit) const {
  const at::NoGradGuard no_grad;
  state_->decompose(method, weights_only, visit);
}

StreamDirections Problem::directions(const std::string& method) const {
  const at::NoGradGuard no_grad;
  return state_->directions(method);
}

void Problem::attention_gradients(const std::function<void(const AttentionGradient&)>& visit) const {
  const at::NoGradGuard no_grad;
  visit_attention_gradients(*state_, visit);
}

Work Problem::cost() const { return state_->model.work() - state_->work_before; }

}  // namespace whence
