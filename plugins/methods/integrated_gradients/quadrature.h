#pragma once

#include <string>

#include "whence/problem.h"

/// Points and weights of a quadrature rule on [0, 1]: gausslegendre, riemann_left, riemann_right, riemann_middle or
/// riemann_trapezoid with `count` points. Weights sum to 1, except that the trapezoid with `short_trapezoid` gives
/// every step between points the width 1/count, so that they sum to 1 - 1/count. Throws ConfigError when the rule needs
/// more points.
whence::Nodes quadrature(const std::string& rule, std::int64_t count, bool short_trapezoid);
