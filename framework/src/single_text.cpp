#include "whence/single_text.h"

#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

namespace whence {
namespace {

/// Numbers of the gradients that are held at a time.
constexpr std::int64_t kNumbersAtOnce = std::int64_t{1} << 24;

}  // namespace

SingleText::SingleText(const Problem& problem, std::int64_t sequence) : problem_(problem) {
  const Sequence& text = problem.sequences()[static_cast<std::size_t>(sequence)];
  const auto own = [&](const PaddedIds& ids, std::int64_t rows) -> PaddedIds {
    if (!ids.defined()) return {};
    return {ids.ids.narrow(0, sequence, 1).narrow(1, 0, rows), at::full({1}, rows, at::kLong)};
  };
  inputs.target = own(problem.inputs().target, text.steps.end - 1);
  inputs.source = own(problem.inputs().source, std::ssize(text.source));
  positions = problem.predicting_positions().narrow(0, sequence, 1).narrow(1, 0, text.columns());
}

std::int64_t SingleText::rows(Side side) const {
  const PaddedIds& ids = side == Side::source ? inputs.source : inputs.target;
  return ids.defined() ? ids.ids.size(1) : 0;
}

std::pair<Tensor, Tensor> SingleText::squared_norms(const PullBack& pull_back) const {
  Tensor source = at::zeros({problem_.length(Side::source), problem_.steps()});
  Tensor target = at::zeros({problem_.length(Side::target), problem_.steps()});
  const std::int64_t numbers = (rows(Side::source) + rows(Side::target)) * problem_.model().info().embedding;
  const std::int64_t together = std::clamp<std::int64_t>(kNumbersAtOnce / numbers, 1, steps());
  for (std::int64_t first = 0; first < steps(); first += together) {
    const std::int64_t count = std::min(together, steps() - first);
    const Gradients gradients = pull_back(
        first, count, {.source = problem_.attributes(Side::source), .target = problem_.attributes(Side::target)});
    const auto store = [&](const Tensor& gradient, Tensor& norms) {
      if (!gradient.defined()) return;
      norms.narrow(0, 0, gradient.size(1)).narrow(1, first, count).copy_(gradient[0].square().sum(-1));
    };
    store(gradients.source, source);
    store(gradients.target, target);
  }
  return {source, target};
}

}  // namespace whence
