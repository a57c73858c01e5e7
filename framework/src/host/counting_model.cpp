#include "host/counting_model.h"

#include <ATen/ops/maximum.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "counting.h"
#include "host/tensor_memory.h"
#include "pass_plan.h"

namespace whence::host {
namespace {

constexpr std::int64_t kFloat = sizeof(float);

struct CountingTrace final : Trace {
  CountingTrace(const Model& owner, std::int64_t bytes) : Trace(owner), held(bytes) {}

  TensorMemory::Imagined held;
  Tensor positions, first_changed;  ///< [B,T], [B]
  std::int64_t length = 0, source_length = 0;
  Tensor source_lengths;  ///< [B] or undefined
};

std::int64_t total(const Tensor& counts) { return counts.sum().item<std::int64_t>(); }

}  // namespace

CountingModel::CountingModel(const Model& model) : model_(model), bytes_(pass_bytes(model.info())) {}

Forward CountingModel::forward(const Inputs& inputs, const ForwardRequest& request) const {
  const ModelInfo& info = model_.info();
  const std::int64_t batch = inputs.target.ids.size(0), length = inputs.target.ids.size(1);
  const Tensor& positions = request.positions;
  const Tensor first_changed = request.shared ? request.shared.first_changed : at::zeros({batch}, at::kLong);
  const bool whole = request.attentions || request.layer_states || request.keep_prefix;
  const Tensor ends = whole ? inputs.target.lengths : positions.amax(1) + 1;
  std::int64_t rows = total((ends - first_changed).clamp_min(0));
  if (rows > 0 && inputs.source.defined()) rows += total(inputs.source.lengths);
  const std::int64_t asked = total(positions >= 0);
  if (rows > 0) ++work_.forward_passes;
  work_.forward_rows += rows;
  work_.head_rows += asked;

  std::int64_t kept = 0;
  if (request.trace) kept += rows * bytes_.traced_row;
  if (request.keep_prefix) kept += rows * bytes_.prefix_row;
  auto trace = std::make_unique<CountingTrace>(*this, kept);
  // Logits of the rows that are asked for stand beside those in their places, unless they are the same.
  const std::int64_t beside = asked < positions.numel() ? asked * info.vocabulary * kFloat : 0;
  const TensorMemory::Imagined working(rows * bytes_.forward_row + bytes_.fixed + beside);
  Forward result;
  result.logits = at::zeros({batch, positions.size(1), info.vocabulary});
  if (request.attentions) {
    result.target_attentions = at::zeros({batch, info.layers, info.heads, length, length});
    if (inputs.source.defined()) {
      const std::int64_t source = inputs.source.ids.size(1);
      result.source_attentions = at::zeros({batch, info.layers, info.heads, source, source});
      result.cross_attentions = at::zeros({batch, info.layers, info.heads, length, source});
    }
  }
  if (request.layer_states)
    for (std::int64_t n = 0; n <= info.layers; ++n)
      result.layer_states.push_back(at::zeros({batch, length, info.hidden}));
  if (request.trace || request.keep_prefix) {
    trace->positions = positions;
    trace->first_changed = first_changed;
    trace->length = length;
    trace->source_length = inputs.source.defined() ? inputs.source.ids.size(1) : 0;
    trace->source_lengths = inputs.source.lengths;
    result.trace = std::move(trace);
  }
  return result;
}

Gradients CountingModel::pull_back(const Forward& forward, const Cotangents& cotangents,
                                   const PullBackRequest& request) const {
  const auto& trace = static_cast<const CountingTrace&>(*forward.trace);
  const std::int64_t batch = cotangents.logits.size(0), steps = cotangents.logits.size(1), hidden = info().embedding;
  const Tensor asked = trace.positions.narrow(1, cotangents.first_step, steps);
  Tensor rows_of_steps = asked + 1 - trace.first_changed.unsqueeze(1);
  if (trace.source_lengths.defined()) rows_of_steps = rows_of_steps + trace.source_lengths.unsqueeze(1);
  const std::int64_t rows = total(rows_of_steps.masked_fill(asked < 0, 0));
  ++work_.backward_passes;
  work_.backward_rows += rows;

  const std::int64_t together = bytes_.most_cotangent_rows > 0 ? std::min(rows, bytes_.most_cotangent_rows) : rows;
  const TensorMemory::Imagined working(together * bytes_.cotangent_row + bytes_.fixed);
  Gradients result;
  const std::int64_t target_rows = request.first_changed_only ? 1 : trace.length;
  if (request.target) result.target = at::zeros({batch, target_rows, steps, hidden});
  if (request.source && trace.source_length > 0) result.source = at::zeros({batch, trace.source_length, steps, hidden});
  for (std::size_t i = 0; i < request.layers.size(); ++i)
    result.layers.push_back(at::zeros({batch, trace.length, steps, info().hidden}));
  return result;
}

void CountingModel::zero_values(const Inputs& inputs, const Request& request, const Visitor& visit) const {
  const ModelInfo& info = model_.info();
  const std::int64_t rows = total((request.positions.amax(1) + 1).clamp_min(0));
  const std::int64_t seen = total((request.positions + 1).clamp_min(0));
  const std::int64_t together = bytes_.most_zeroed_rows > 0 ? std::min(seen, bytes_.most_zeroed_rows) : seen;
  const TensorMemory::Imagined working(rows * bytes_.forward_row + together * bytes_.zeroed_row + bytes_.fixed);
  std::int64_t rows_of_layers = info.layers * rows;
  const auto positions = request.positions.accessor<std::int64_t, 2>();
  const Tensor clean = at::zeros({info.hidden});
  for (std::int64_t n = 0; n < info.layers; ++n) {
    if (!request.heads.empty() && !request.heads[static_cast<std::size_t>(n)].any().item<bool>()) continue;
    rows_of_layers += seen;
    for (std::int64_t b = 0; b < positions.size(0); ++b)
      for (std::int64_t t = 0; t < positions.size(1); ++t)
        if (positions[b][t] >= 0) visit(n, b, t, clean, at::zeros({positions[b][t] + 1, info.hidden}));
  }
  ++work_.forward_passes;
  work_.forward_rows += rows_of_layers / info.layers;
}

const void* CountingModel::query(std::string_view capability) const {
  if (capability == kCountsOnly) return this;
  if (capability == ValueZeroing::kCapability && model_.query(capability))
    return static_cast<const ValueZeroing*>(this);
  return nullptr;
}

}  // namespace whence::host
