#pragma once

#include <string>
#include <vector>

#include "whence/export.h"
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

}  // namespace whence
