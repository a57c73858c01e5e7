#pragma once

#include <gtest/gtest.h>

#include "case_data.h"

namespace whence::parity {

/// The tolerances that a case stores.
struct Tolerance {
  explicit Tolerance(const Case& one);
  double rtol, atol_rel, step_rtol, step_atol, aggregated_atol, deltas_atol;
};

/// Same shape, NaN in the same places, and |got - expected| <= rtol |expected| + atol everywhere else; names the worst
/// element.
::testing::AssertionResult agrees(const Tensor& got, const Tensor& expected, double rtol, double atol);
/// As above, with `atol_rel` times the largest expected value as `atol`.
::testing::AssertionResult agrees_relative(const Tensor& got, const Tensor& expected, const Tolerance& tolerance);

/// Tokens, ids and positions.
void expect_same_tokens(const SequenceAttribution& got, const SequenceAttribution& expected);
/// The step scores named.
void expect_step_scores(const SequenceAttribution& got, const SequenceAttribution& expected,
                        const std::vector<std::string>& names, const Tolerance& tolerance);

}  // namespace whence::parity
