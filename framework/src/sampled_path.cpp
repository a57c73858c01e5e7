#include "whence/sampled_path.h"

#include <ATen/TensorOperators.h>

#include <algorithm>
#include <map>

#include "whence/error.h"
#include "whence/site_rows.h"

namespace whence {
namespace {

const char* name_of(Side side) { return side == Side::source ? " source" : " target"; }

/// What is drawn for a problem; every tensor is made again when it is needed.
class Draws {
 public:
  Draws(const Problem& problem, const SampledPath& path)
      : problem_(problem), path_(path), rows_(problem, path.layers) {}

  Tensor start(const PointPlace& place) {
    if (!path_.start) return rows_.baseline(place.sequence, place.side);
    if (!rows_.at_layers()) return path_.start(place);
    return rows_.of(start_states(place.sequence, place.point), place.side);
  }
  Tensor end(const PointPlace& place) const {
    const Tensor input = rows_.input(place.sequence, place.side);
    if (path_.noise == 0) return input;
    RandomStream random = problem_.random(place.sequence, path_.purpose + " noise" + name_of(place.side), place.point);
    return input + path_.noise * random.normal(input.sizes()).to(at::kFloat);
  }
  Tensor point(const PointPlace& place) {
    const double alpha =
        problem_.random(place.sequence, path_.purpose + " alpha", place.point).uniform({1}).item<double>();
    const Tensor from = start(place);
    return from + alpha * (end(place) - from);
  }

  /// f(X_i) - f(start_i), the mean over samples: [B,T].
  Tensor differences() {
    Points starts{.count = path_.start ? path_.samples : 1}, ends{.count = path_.samples};
    // Scored at the embeddings that lead there.
    starts.rows = [&](const PointPlace& place) {
      if (!rows_.has(place.side)) return problem_.embeddings(place.side)[place.sequence];
      return path_.start ? path_.start(place) : problem_.baseline_embeddings(place.side)[place.sequence];
    };
    ends.rows = [&](const PointPlace& place) { return end(place); };
    const Tensor high = path_.noise == 0 ? problem_.scores() : problem_.scores(ends).mean(0);
    return high - problem_.scores(starts).mean(0);
  }

 private:
  /// Kept for the factor of a point and for further steps, while they are few.
  const SiteRows::States& start_states(std::int64_t sequence, std::int64_t point) {
    SiteRows::States& states = starts_[{sequence, point}];
    if (!states.empty()) return states;
    if (held_ > kMostBytes) {
      starts_.clear();
      held_ = 0;
    }
    SiteRows::States& own = starts_[{sequence, point}];
    own = rows_.states(sequence, [&](Side side) { return path_.start({sequence, side, point}); });
    for (const Tensor& rows : own) held_ += rows.numel() * static_cast<std::int64_t>(sizeof(float));
    return own;
  }

  static constexpr std::int64_t kMostBytes = std::int64_t{1} << 27;

  const Problem& problem_;
  const SampledPath& path_;
  const SiteRows rows_;
  std::map<std::pair<std::int64_t, std::int64_t>, SiteRows::States> starts_;
  std::int64_t held_ = 0;
};

/// Whether scores tell how far the attributions of a path are from complete.
bool has_gap(const Problem& problem, const SampledPath& path) {
  if (!path.multiply) return false;
  if (path.layers.empty()) return true;
  const auto attributed = [&](const LayerSite& site) { return problem.attributes(site.stack); };
  return path.noise == 0 && (!path.start || std::ranges::all_of(path.layers, attributed));
}

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
  const bool with_gap = has_gap(problem, path);
  if (path.deltas && !with_gap)
    throw ConfigError(
        "return_convergence_delta: no scores are computed from noisy states of a layer, nor where starts are drawn for "
        "a "
        "side that is not attributed; set it to false, or attribute to embeddings");
  Draws draws(problem, path);
  Points points{.count = path.samples, .weight = 1 / static_cast<double>(path.samples)};
  points.rows = [&](const PointPlace& place) { return draws.point(place); };
  if (path.multiply) points.factor = [&](const PointPlace& place) { return draws.end(place) - draws.start(place); };
  const bool from_baseline = with_gap && path.noise == 0 && !path.start;
  const PointGradients gradients = problem.gradients(points, {.layers = path.layers, .gap = from_baseline});
  Attribution attribution{.source = gradients.source, .target = gradients.target, .granularity = gradients.granularity};
  if (gradients.error.defined()) attribution.step_scores["error_estimate"] = gradients.error;
  if (!with_gap) return attribution;

  const Tensor gap = from_baseline ? gradients.gap : (gradients.total - draws.differences()) * problem.step_mask();
  attribution.step_scores["completeness_gap"] = gap;
  if (path.deltas) attribution.step_scores["deltas"] = gap;
  return attribution;
}

}  // namespace whence
