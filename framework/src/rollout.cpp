#include "whence/rollout.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>

namespace whence {

Rollout::Rollout(std::int64_t rows, std::int64_t source) : target_(at::eye(rows)) {
  if (source == 0) return;
  encoder_ = at::eye(source);
  source_ = at::zeros({rows, source});
}

void Rollout::mix(Side side, const Tensor& mixture) {
  if (side == Side::source) {
    encoder_ = at::matmul(mixture, encoder_);
    return;
  }
  target_ = at::matmul(mixture, target_);
  if (source_.defined()) source_ = at::matmul(mixture, source_);
}

void Rollout::mix_source(const Tensor& kept, const Tensor& mixture) {
  target_ = kept.unsqueeze(1) * target_;
  source_ = kept.unsqueeze(1) * source_ + at::matmul(mixture, encoder_);
}

Rollouts::Rollouts(const Problem& problem, bool per_layer) : problem_(problem), per_layer_(per_layer) {
  const std::int64_t columns = per_layer ? problem.model().info().layers : 1;
  for (const Sequence& sequence : problem.sequences())
    texts_.emplace_back(sequence.steps.end - 1, static_cast<std::int64_t>(sequence.source.size()));
  const auto results = [&](Side side) {
    return problem.attributes(side) ? at::zeros({problem.batch_size(), problem.length(side), problem.steps(), columns})
                                    : Tensor();
  };
  target_ = results(Side::target);
  source_ = results(Side::source);
}

void Rollouts::keep(std::int64_t sequence, std::int64_t layer) {
  if (!per_layer_ && layer + 1 < problem_.model().info().layers) return;
  const Rollout& text = texts_[static_cast<std::size_t>(sequence)];
  const Span steps = problem_.sequences()[static_cast<std::size_t>(sequence)].steps;
  const auto put = [&](const Tensor& shares, const Tensor& results) {
    if (!results.defined()) return;
    // Step t is predicted by the row before its token.
    const Tensor rows = shares.narrow(0, steps.start - 1, steps.size()).t();
    results[sequence]
        .select(-1, per_layer_ ? layer : 0)
        .narrow(0, 0, rows.size(0))
        .narrow(1, 0, rows.size(1))
        .copy_(rows);
  };
  put(text.target(), target_);
  put(text.source(), source_);
}

Attribution Rollouts::attribution() const {
  const auto shaped = [&](const Tensor& results) {
    return results.defined() && !per_layer_ ? results.squeeze(-1) : results;
  };
  Attribution result{.source = shaped(source_), .target = shaped(target_)};
  if (per_layer_) result.granularity = {"layer"};
  return result;
}

}  // namespace whence
