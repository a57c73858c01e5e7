#pragma once

#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cmath>

#include "whence/tensor.h"

namespace whence::transformer {

/// What the explicit backward may be off by: for float and for double.
template <class T>
constexpr double kTolerance = sizeof(T) == sizeof(float) ? 1e-5 : 1e-10;

/// max |got - expected| <= tolerance * max |expected|, both of the same shape and without a NaN.
inline ::testing::AssertionResult relatively_near(const Tensor& got, const Tensor& expected, double tolerance) {
  if (!got.defined() || !expected.defined() || got.sizes() != expected.sizes())
    return ::testing::AssertionFailure() << "tensors of different shapes";
  if (got.numel() == 0) return ::testing::AssertionSuccess();
  const double size = expected.to(at::kDouble).abs().max().item<double>();
  const double off = (got.to(at::kDouble) - expected.to(at::kDouble)).abs().max().item<double>();
  if (off <= tolerance * size) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "off by " << off << ", numbers are up to " << size;
}

}  // namespace whence::transformer
