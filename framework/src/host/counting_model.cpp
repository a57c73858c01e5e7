#include "host/counting_model.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>

#include "counting.h"
#include "host/tensor_memory.h"
#include "pass_plan.h"
#include "whence/backward_rule_check.h"

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

void show_attentions(const ModelInfo& info, const CountingTrace& trace, const Tensor& asked, std::int64_t first_step,
                     const std::function<void(const AttentionGradient&)>& visit) {
  const auto show = [&](Side queries, Side keys, std::int64_t layer) {
    for (std::int64_t b = 0; b < asked.size(0); ++b)
      for (std::int64_t t = 0; t < asked.size(1); ++t) {
        const auto rows = asked[b][t].item<std::int64_t>() + 1;
        if (rows == 0) continue;
        const auto source = trace.source_lengths.defined() ? trace.source_lengths[b].item<std::int64_t>() : 0;
        const Tensor weights =
            at::zeros({info.heads, queries == Side::source ? source : rows, keys == Side::source ? source : rows});
        visit({queries, keys, layer, b, first_step + t, weights, at::zeros_like(weights)});
      }
  };
  const bool crosses = trace.source_lengths.defined();
  for (std::int64_t n = info.layers; n-- > 0;) {
    if (crosses) show(Side::target, Side::source, n);
    show(Side::target, Side::target, n);
  }
  for (std::int64_t n = crosses ? info.layers : 0; n-- > 0;) show(Side::source, Side::source, n);
}

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
  if (rows > 0 && inputs.source.defined() && !request.shared) rows += total(inputs.source.lengths);
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
  for (const LayerSite& site : request.sites) {
    const PaddedIds& ids = site.stack == Side::source ? inputs.source : inputs.target;
    result.states.push_back(at::zeros({batch, ids.ids.size(1), info.hidden}));
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
  if (const void* check = model_.query(BackwardRuleCheck::kCapability); check && !request.rules.empty()) {
    try {
      static_cast<const BackwardRuleCheck*>(check)->check_rules(request.rules);
    } catch (const ConfigError& error) {
      throw ConfigError("model '" + info().name + "': " + error.what());
    }
  }
  const auto& trace = static_cast<const CountingTrace&>(*forward.trace);
  const std::int64_t batch = cotangents.logits.size(0), hidden = info().embedding;
  const std::int64_t steps = cotangents.logits.size(1) / cotangents.together;
  // Cotangents that are carried as one begin at the last row that any of them is read at.
  const Tensor asked = trace.positions.narrow(1, cotangents.first_step, cotangents.logits.size(1))
                           .unflatten(1, {steps, cotangents.together})
                           .amax(-1);
  Tensor rows_of_steps = asked + 1 - trace.first_changed.unsqueeze(1);
  const bool of_source = request.source || request.attentions ||
                         std::ranges::find(request.layers, Side::source, &LayerSite::stack) != request.layers.end();
  if (trace.source_lengths.defined() && of_source) rows_of_steps = rows_of_steps + trace.source_lengths.unsqueeze(1);
  const std::int64_t rows = total(rows_of_steps.masked_fill(asked < 0, 0));
  ++work_.backward_passes;
  work_.backward_rows += rows;

  const std::int64_t together = bytes_.most_cotangent_rows > 0 ? std::min(rows, bytes_.most_cotangent_rows) : rows;
  const TensorMemory::Imagined working(together * bytes_.cotangent_row + bytes_.fixed);
  Gradients result;
  const std::int64_t target_rows = request.first_changed_only ? 1 : trace.length;
  if (request.target) result.target = at::zeros({batch, target_rows, steps, hidden});
  if (request.source && trace.source_length > 0) result.source = at::zeros({batch, trace.source_length, steps, hidden});
  for (const LayerSite& site : request.layers)
    result.layers.push_back(
        at::zeros({batch, site.stack == Side::source ? trace.source_length : trace.length, steps, info().hidden}));
  if (request.attentions) show_attentions(info(), trace, asked, cotangents.first_step, request.attentions);
  return result;
}

void CountingModel::zero_values(const Inputs& inputs, const ValueZeroing::Request& request,
                                const ValueZeroing::Visitor& visit) const {
  const ModelInfo& info = model_.info();
  struct Asked {
    Attention attention;
    const Values& values;
    std::int64_t layers;
    Tensor seen;  ///< [B,T] positions that each read row sees
  };
  std::vector<Asked> asked;
  const auto add = [&](Attention attention, const Values& values) {
    if (!values.positions.defined()) return;
    const Tensor& rows = values.positions;
    const Tensor seen =
        attention == Attention::target ? rows + 1 : inputs.source.lengths.unsqueeze(1).expand_as(rows).clone();
    asked.push_back({attention, values, extent(attention).layers, seen.masked_fill_(rows < 0, 0)});
  };
  add(Attention::source, request.source);
  add(Attention::target, request.target);
  add(Attention::cross, request.cross);

  Tensor ends = at::zeros({inputs.target.ids.size(0)}, at::kLong);
  std::int64_t read = 0, most_zeroed = 0;
  for (const Asked& one : asked) {
    if (one.attention != Attention::source) ends = at::maximum(ends, one.values.positions.amax(1) + 1);
    read += total(one.values.positions >= 0);
    most_zeroed = std::max(most_zeroed, total(one.seen));
  }
  if (read == 0) return;
  std::int64_t rows = total(ends);
  if (inputs.source.defined()) rows += total(inputs.source.lengths);
  const std::int64_t together =
      bytes_.most_zeroed_rows > 0 ? std::min(most_zeroed, bytes_.most_zeroed_rows) : most_zeroed;
  const TensorMemory::Imagined working(rows * bytes_.forward_row + together * bytes_.zeroed_row + bytes_.fixed);
  const Tensor clean = at::zeros({info.hidden});
  std::int64_t of_source = 0, of_target = 0;  // rows with a zeroed value, summed over the layers
  for (const auto& [attention, values, layers, seen] : asked) {
    const auto count = seen.accessor<std::int64_t, 2>();
    for (std::int64_t n = 0; n < layers; ++n) {
      if (!values.heads.empty() && !values.heads[static_cast<std::size_t>(n)].any().item<bool>()) continue;
      (attention == Attention::source ? of_source : of_target) += total(seen);
      for (std::int64_t b = 0; b < seen.size(0); ++b)
        for (std::int64_t t = 0; t < seen.size(1); ++t)
          if (count[b][t] > 0) visit({attention, n, b, t, clean, at::zeros({count[b][t], info.hidden})});
    }
  }
  ++work_.forward_passes;
  work_.forward_rows += rows + of_target / info.layers;
  if (of_source > 0) work_.forward_rows += of_source / extent(Attention::source).layers;
}

std::int64_t CountingModel::count_texts(const Inputs& inputs, const Tensor& positions) const {
  Tensor rows = positions.amax(1) + 1;
  work_.forward_passes += total(rows > 0);
  if (inputs.source.defined()) rows = rows + inputs.source.lengths * (rows > 0);
  work_.forward_rows += total(rows);
  return rows.max().item<std::int64_t>() * bytes_.forward_row + bytes_.fixed;
}

void CountingModel::decompose(const Inputs& inputs, const BlockDecomposition::Request& request,
                              const BlockDecomposition::Visitor& visit) const {
  const ModelInfo& info = model_.info();
  const TensorMemory::Imagined working(count_texts(inputs, request.positions));
  const auto attention = [&](std::int64_t rows, std::int64_t keys) {
    AttentionParts parts;
    parts.weights = at::zeros({info.heads, rows, keys});
    if (request.weights_only) return parts;
    parts.scale = at::zeros({rows});
    parts.vectors = at::zeros({info.heads, keys, info.hidden});
    for (Tensor* states : {&parts.kept, &parts.constant, &parts.output}) *states = at::zeros({rows, info.hidden});
    return parts;
  };
  const auto show = [&](Side side, std::int64_t sequence, std::int64_t rows, std::int64_t source) {
    for (std::int64_t n = 0; n < info.layers; ++n) {
      BlockParts parts{.side = side, .layer = n, .sequence = sequence, .attention = attention(rows, rows)};
      if (source > 0) parts.cross = attention(rows, source);
      if (!request.weights_only)
        for (Tensor* states :
             {&parts.network.added, &parts.network.kept, &parts.network.constant, &parts.network.output})
          *states = at::zeros({rows, info.hidden});
      visit(parts);
    }
  };
  for (std::int64_t b = 0; b < request.positions.size(0); ++b) {
    const auto rows = request.positions[b].max().item<std::int64_t>() + 1;
    if (rows == 0) continue;
    const auto source = inputs.source.defined() ? inputs.source.lengths[b].item<std::int64_t>() : 0;
    if (source > 0) show(Side::source, b, source, 0);
    show(Side::target, b, rows, source);
  }
}

StreamDirections CountingModel::directions(const Inputs& inputs, const Tensor& positions,
                                           const std::function<Tensor(const Tensor&)>& cotangents) const {
  const ModelInfo& info = model_.info();
  const TensorMemory::Imagined working(count_texts(inputs, positions));
  work_.head_rows += total(positions >= 0);
  cotangents(at::zeros({positions.size(0), positions.size(1), info.vocabulary}));
  const Tensor nowhere = at::zeros({positions.size(0), positions.size(1), info.hidden});
  StreamDirections result{.input = nowhere, .states = nowhere};
  result.blocks.resize(static_cast<std::size_t>(info.layers),
                       {nowhere, inputs.source.defined() ? nowhere : Tensor(), nowhere});
  return result;
}

const void* CountingModel::query(std::string_view capability) const {
  if (capability == kCountsOnly) return this;
  if (capability == Dropout::kCapability) return model_.query(capability);
  if (capability == ValueZeroing::kCapability && model_.query(capability))
    return static_cast<const ValueZeroing*>(this);
  if (capability == BlockDecomposition::kCapability && model_.query(capability))
    return static_cast<const BlockDecomposition*>(this);
  if (capability == FinalStates::kCapability && model_.query(capability)) return static_cast<const FinalStates*>(this);
  return nullptr;
}

}  // namespace whence::host
