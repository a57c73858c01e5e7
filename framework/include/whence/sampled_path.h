#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "whence/attribution.h"
#include "whence/export.h"
#include "whence/params.h"
#include "whence/problem.h"

namespace whence {

/// Straight paths from drawn starts to the input, one random point on each.
struct SampledPath {
  std::string purpose;  ///< keys what is drawn: the name of the method
  std::int64_t samples = 5;
  double noise = 0;  ///< standard deviation of what is added to every number of the input
  bool multiply = true;
  bool deltas = false;  ///< the gap is wanted as step score `deltas`, too
  /// [rows,E] embeddings where the path of a sample starts; empty: at the baseline.
  Points::Rows start;
  /// As in GradientRequest::layers: paths then lead from the states that a start leads to, to those of the input, and
  /// noise is added to these.
  std::vector<LayerSite> layers;
};

/// The mean over samples i of (X_i - start_i) * gradient at start_i + alpha_i (X_i - start_i), alpha_i uniform in (0,
/// 1) and the same on both sides, X_i the input plus noise; without `multiply` that of the gradients alone. With the
/// step scores `error_estimate` and, where there is a factor, `completeness_gap`: the sum of the attributions minus the
/// mean of f(X_i) - f(start_i), which is zero in expectation. No pass of a Problem scores states, so at layers there is
/// no gap with noise, or with drawn starts on a side that is not attributed. Throws ConfigError when deltas are wanted
/// there. (Erion et al. 2021, arXiv:1906.10670, equation 2)
WHENCE_API Attribution attribute_along(const Problem& problem, const SampledPath& path);

/// From the parameters `n_samples`, `multiply_by_inputs` and `return_convergence_delta`. Throws ConfigError for deltas
/// without a factor.
WHENCE_API SampledPath sampled_path(const Params& params, std::string purpose);

}  // namespace whence
