#pragma once

#include <ATen/ops/allclose.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <limits>
#include <sstream>

#include "whence/tensor.h"

namespace whence::testing {

inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// A float tensor of the given shape from its values, row by row.
inline Tensor numbers(at::IntArrayRef shape, const std::vector<float>& values) {
  return at::tensor(values).view(shape);
}

/// Same shape, NaN at the same places, and everything else within the tolerance.
inline ::testing::AssertionResult near(const Tensor& got, const Tensor& expected, double rtol = 1e-5,
                                       double atol = 1e-6) {
  std::ostringstream text;
  if (!got.defined() || !expected.defined()) {
    text << "undefined: " << (got.defined() ? "the expected tensor" : "the tensor got");
    return ::testing::AssertionFailure() << text.str();
  }
  if (got.sizes() == expected.sizes() &&
      at::allclose(got, expected.to(got.scalar_type()), rtol, atol, /*equal_nan=*/true))
    return ::testing::AssertionSuccess();
  text << "got\n" << got << "\nexpected\n" << expected;
  return ::testing::AssertionFailure() << text.str();
}

}  // namespace whence::testing
