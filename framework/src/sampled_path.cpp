#include "whence/sampled_path.h"

#include <ATen/TensorOperators.h>

#include "whence/error.h"

namespace whence {
namespace {

const char* name_of(Side side) { return side == Side::source ? " source" : " target"; }

/// What is drawn for a problem; every tensor is made again when it is needed.
class Draws {
 public:
  Draws(const Problem& problem, const SampledPath& path) : problem_(problem), path_(path) {}

  Tensor start(const PointPlace& place) const {
    return path_.start ? path_.start(place) : problem_.baseline_embeddings(place.side)[place.sequence];
  }
  Tensor end(const PointPlace& place) const {
    const Tensor& input = problem_.embeddings(place.side)[place.sequence];
    if (path_.noise == 0) return input;
    RandomStream random = problem_.random(place.sequence, path_.purpose + " noise" + name_of(place.side), place.point);
    return input + path_.noise * random.normal(input.sizes()).to(at::kFloat);
  }
  Tensor point(const PointPlace& place) const {
    const double alpha =
        problem_.random(place.sequence, path_.purpose + " alpha", place.point).uniform({1}).item<double>();
    const Tensor from = start(place);
    return from + alpha * (end(place) - from);
  }

 private:
  const Problem& problem_;
  const SampledPath& path_;
};

}  // namespace

SampledPath sampled_path(const Params& params, std::string purpose) {
  SampledPath path{.purpose = std::move(purpose),
                   .samples = params.get<std::int64_t>("n_samples"),
                   .multiply = params.get<bool>("multiply_by_inputs"),
                   .deltas = params.get<bool>("return_convergence_delta")};
  if (path.deltas && !path.multiply)
    throw ConfigError(
        "return_convergence_delta: there is no score difference to compare with while multiply_by_inputs is false; "
        "set one of them the other way");
  return path;
}

Attribution attribute_along(const Problem& problem, const SampledPath& path) {
  const Draws draws(problem, path);
  Points points{.count = path.samples, .weight = 1 / static_cast<double>(path.samples)};
  points.rows = [&](const PointPlace& place) { return draws.point(place); };
  if (path.multiply) points.factor = [&](const PointPlace& place) { return draws.end(place) - draws.start(place); };
  const PointGradients gradients = problem.gradients(points);
  Attribution attribution{.source = gradients.source, .target = gradients.target, .granularity = gradients.granularity};
  if (gradients.error.defined()) attribution.step_scores["error_estimate"] = gradients.error;
  if (!path.multiply) return attribution;

  Points ends = points, starts = points;
  ends.rows = [&](const PointPlace& place) { return draws.end(place); };
  starts.rows = [&](const PointPlace& place) { return draws.start(place); };
  if (!path.start) starts.count = 1;
  const Tensor high = path.noise == 0 ? problem.scores() : problem.scores(ends).mean(0);
  const Tensor gap = (gradients.total - (high - problem.scores(starts).mean(0))) * problem.step_mask();
  attribution.step_scores["completeness_gap"] = gap;
  if (path.deltas) attribution.step_scores["deltas"] = gap;
  return attribution;
}

}  // namespace whence
