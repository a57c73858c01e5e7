#pragma once

#include <string>
#include <vector>

#include "whence/attribution.h"
#include "whence/export.h"
#include "whence/params.h"
#include "whence/problem.h"

namespace whence {

/// Points and weights of a quadrature rule on [0,1] with `count` points: gausslegendre, riemann_left, riemann_right,
/// riemann_middle or trapezoid, which is called riemann_trapezoid, too. Weights sum to 1. Throws UnknownName for other
/// rules and ConfigError, naming the parameter n_steps, when the rule needs more points.
WHENCE_API Nodes quadrature(const std::string& rule, std::int64_t count);

/// What brings a rule of `count` points to twice the intervals, again and again while all points together are at most
/// `most`. Each step gives its new points alone, with weights that sum to 1/2; all earlier ones then count half. Throws
/// ConfigError, naming the parameter tolerance, for rules whose points don't stay: only riemann_left, riemann_right and
/// trapezoid nest.
WHENCE_API std::vector<Nodes> doublings(const std::string& rule, std::int64_t count, std::int64_t most);

/// What every path method lets its users choose.
struct PathChoice {
  Path path;
  GradientRequest request;
  bool deltas = false;  ///< the gap is wanted as step score `deltas`, too
};

/// From the parameters `n_steps`, `method` (the rule), `tolerance` (may have no value), `max_nodes`,
/// `multiply_by_inputs`, `return_convergence_delta` and `compat`: with "reference" the weights of a trapezoid sum to 1
/// - 1/n_steps. Throws ConfigError for choices that don't fit together.
WHENCE_API PathChoice path_choice(const Params& params);

/// An integral along `path` as attribution, with step scores that say how far it can be trusted: `completeness_gap`,
/// `error_estimate` and, when there is a tolerance, `nodes` and `tolerance_missed`, 1 where the nodes did not suffice;
/// a note says how often. What the integral leaves undefined is left out.
WHENCE_API Attribution attribution_of(const PathIntegral& integral, const Path& path);

}  // namespace whence
