#pragma once

#include <ATen/ops/linalg_vector_norm.h>

#include <functional>

#include "whence/hidden_reduction.h"

namespace whence::testing {

/// A reduction over hidden units that a test defines.
class Reduction final : public HiddenReduction {
 public:
  Reduction(std::function<Tensor(const Tensor&)> reduce, bool is_sum) : reduce_(std::move(reduce)), is_sum_(is_sum) {}
  Tensor reduce(const Tensor& values) const override { return reduce_(values); }
  bool is_sum() const override { return is_sum_; }
  std::string description() const override { return "a reduction of the test"; }
  void finish(SequenceAttribution&) const override {}

 private:
  std::function<Tensor(const Tensor&)> reduce_;
  bool is_sum_;
};

inline const Reduction& norm() {
  static const Reduction reduction([](const Tensor& values) { return at::linalg_vector_norm(values, 2, -1); }, false);
  return reduction;
}
inline const Reduction& sum() {
  static const Reduction reduction([](const Tensor& values) { return values.sum(-1); }, true);
  return reduction;
}

}  // namespace whence::testing
