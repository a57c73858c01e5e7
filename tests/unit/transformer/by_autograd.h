#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <vector>

#include "random_decoder.h"
#include "relative_error.h"

namespace whence::transformer {

template <class T>
constexpr at::ScalarType kType = c10::CppTypeToScalarType<T>::value;

/// Gradients of sum(c * forward(inputs)) at each of the inputs, for each of the cotangents c, by autograd in double
/// precision.
template <class Function>
std::vector<std::vector<Tensor>> by_autograd(const Function& forward, const std::vector<Tensor>& inputs,
                                             const std::vector<Tensor>& cotangents) {
  const at::AutoGradMode with_grad(true);
  std::vector<Tensor> leaves;
  for (const Tensor& x : inputs) leaves.push_back(x.to(at::kDouble).detach().clone().requires_grad_());
  const Tensor outputs = forward(leaves);
  std::vector<std::vector<Tensor>> result;
  for (const Tensor& c : cotangents)
    result.push_back(torch::autograd::grad({outputs}, leaves, {c.to(at::kDouble)}, /*retain_graph=*/true));
  return result;
}
/// The same for one.
template <class Function>
std::vector<Tensor> by_autograd(const Function& forward, const std::vector<Tensor>& inputs, const Tensor& cotangents) {
  return by_autograd(forward, inputs, std::vector{cotangents}).front();
}

/// That the gradient of sum(cotangents * forward(x)) is, along a direction, the central difference of the forward.
template <class Function>
void expect_differences(const Function& forward, const Tensor& x, const Tensor& cotangents, const Tensor& gradient,
                        RandomTensors& random) {
  constexpr double kStep = 1e-5, kTolerated = 1e-8;
  const Tensor direction = random(x.sizes());
  const Tensor difference = (forward(x + kStep * direction) - forward(x - kStep * direction)) / (2 * kStep);
  EXPECT_TRUE(relatively_near((gradient * direction).sum(), (cotangents * difference).sum(), kTolerated));
}

}  // namespace whence::transformer
