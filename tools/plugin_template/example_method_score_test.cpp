// The step function against numbers worked out by hand. Its class lives in the source of the plugin alone.
#include "example_method_score.cpp"

#include <ATen/ops/tensor.h>

#include <cmath>
#include <iostream>

namespace {

bool expect(const char* what, const whence::Tensor& got, const std::vector<double>& expected) {
  const whence::Tensor numbers = at::tensor(expected).view(got.sizes());
  if ((got - numbers).abs().max().item<double>() < 1e-5) return true;
  std::cerr << what << ": got\n" << got << "\nexpected\n" << numbers << "\n";
  return false;
}

ExampleMethodScore with_softness(double softness) {
  return ExampleMethodScore(whence::Params({{"softness", whence::Value(softness)}}));
}

}  // namespace

int main() {
  // One text, two steps, three tokens: the first step explains the likeliest token, the second one another.
  const whence::StepInputs inputs{at::tensor({2.0f, 5.0f, 3.0f, 2.0f, 5.0f, 3.0f}).view({1, 2, 3}),
                                  at::tensor(std::vector<std::int64_t>{1, 0}).view({1, 2})};
  const bool hard = expect("highest", with_softness(0).score(inputs), {5 - 3.0, 2 - 5.0});
  const bool soft = expect("softness 1", with_softness(1).score(inputs),
                           {5 - std::log(std::exp(2) + std::exp(3)), 2 - std::log(std::exp(5) + std::exp(3))});
  return hard && soft ? 0 : 1;
}
