#include "autograd_pull_back.h"

#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

namespace whence::transformer {

Tensor pull_back_by_autograd(const Decoder& decoder, const AutogradTrace& trace, const Tensor& cotangents) {
  const auto& shape = trace.embeddings.sizes();
  Tensor result =
      at::zeros({shape[0], shape[1], trace.steps, shape[2]}, trace.embeddings.options().requires_grad(false));
  if (!trace.rows.defined()) return result;
  const Tensor at_rows =
      decoder.pull_back_head(cotangents.to(at::kFloat).flatten(0, 1).index_select(0, trace.index)).detach();
  const Tensor step_of_row = trace.index.remainder(trace.steps).unsqueeze(1);
  for (std::int64_t t = 0; t < trace.steps; ++t) {
    const Tensor mine = step_of_row == t;
    if (!mine.any().item<bool>()) continue;
    // Every sequence has its own part of the graph, so one pass serves step t of all of them.
    const auto gradients =
        torch::autograd::grad({trace.rows}, {trace.embeddings}, {at_rows.masked_fill(mine.logical_not(), 0)},
                              /*retain_graph=*/true);
    result.select(2, t).copy_(gradients[0]);
  }
  return result;
}

}  // namespace whence::transformer
