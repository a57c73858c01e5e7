#include "transformer_model.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/InferenceMode.h>

#include <stdexcept>

#include "decoder_pull_back.h"
#include "decoder_weights.h"
#include "padded_batch.h"
#include "text_generation.h"
#include "whence/error.h"

namespace whence::transformer {
namespace {

/// The only backward rule of this engine so far.
constexpr const char* kGradientRule = "gradient";

/// What a forward hands to the pull_back of the same model.
struct ModelTrace final : Trace {
  using Trace::Trace;

  PassTrace pass;
  Tensor first_changed;  ///< [B] int64
};

/// Numbers that a trace keeps of one row: normed inputs and their scales, queries, keys, values and their mixture, and
/// the two factors of the MLP.
std::int64_t traced_bytes_per_token(const DecoderConfig& c) {
  const std::int64_t queries = c.heads * c.head_size, keys = c.key_value_heads * c.head_size;
  return 4 * static_cast<std::int64_t>(c.layers.size()) * (2 * c.hidden + 2 * queries + 2 * keys + 2 * c.inner);
}

/// Where the asked positions lie: `row` [R] in the flattened [B*L] states, `index` [R] in the flattened [B*T] request.
struct AskedRows {
  Tensor row, index;
};

AskedRows asked_rows(const Tensor& positions, const std::vector<std::int64_t>& lengths, std::int64_t longest) {
  const Tensor packed = positions.to(at::kLong).contiguous();
  const std::int64_t steps = packed.size(1);
  std::vector<std::int64_t> row, index;
  for (std::int64_t i = 0; i < packed.numel(); ++i) {
    const std::int64_t b = i / steps, position = packed.const_data_ptr<std::int64_t>()[i];
    if (position == -1) continue;
    if (position < 0 || position >= lengths[static_cast<std::size_t>(b)])
      throw InputError("sequence " + std::to_string(b) + ": position " + std::to_string(position) +
                       " is outside the text; expected 0 to " +
                       std::to_string(lengths[static_cast<std::size_t>(b)] - 1));
    row.push_back(b * longest + position);
    index.push_back(i);
  }
  return {at::tensor(row, at::kLong), at::tensor(index, at::kLong)};
}

}  // namespace

TransformerModel::TransformerModel(const Checkpoint& checkpoint, const std::string& dtype) {
  if (dtype != "float32")
    throw ModelError(checkpoint.path().string() + ": dtype '" + dtype + "' is not supported; supported: float32");
  // Tensors made in inference mode could never take part in a trace.
  const c10::InferenceMode normal_mode(false);
  const at::NoGradGuard no_grad;
  const DecoderConfig config = read_decoder_config(checkpoint.architecture(), checkpoint.hyper_parameters());
  tokenizer_ = checkpoint.tokenizer();
  WeightReader reader(checkpoint.store(), checkpoint.weight_names());
  decoder_ = std::make_unique<Decoder>(read_decoder(config, reader));
  report_ = {checkpoint.store().description(), reader.unused()};

  info_.kind = ModelKind::decoder_only;
  info_.name = checkpoint.name();
  info_.architecture = checkpoint.architecture().name;
  info_.class_name = checkpoint.class_name();
  info_.layers = static_cast<std::int64_t>(config.layers.size());
  info_.heads = config.heads;
  info_.hidden = config.hidden;
  info_.vocabulary = decoder_->vocabulary();
  info_.max_positions = config.positions;
  info_.parameters = reader.parameters();
  info_.dtype = dtype;
  info_.weights_format = checkpoint.weights_format();
  info_.eos = checkpoint.eos();
  info_.pass_bytes.traced_row = traced_bytes_per_token(config);
  info_.files = checkpoint.files();
}

Generation TransformerModel::generate(const Inputs& inputs, const GenerationConfig& config,
                                      const GenerationProgress& progress) const {
  const c10::InferenceMode normal_mode(false);
  const at::NoGradGuard no_grad;
  const auto lengths = checked_lengths(inputs.target, info_.max_positions);
  const Tensor padding = padding_mask(lengths, inputs.target.ids.size(1));
  const Tensor ids = checked_ids(inputs.target.ids, padding, info_.vocabulary);
  std::vector<TokenIds> prompts;
  for (std::size_t b = 0; b < lengths.size(); ++b) {
    const std::int64_t* first = ids.const_data_ptr<std::int64_t>() + static_cast<std::int64_t>(b) * ids.size(1);
    prompts.emplace_back(first, first + lengths[b]);
  }
  return generate_texts(*decoder_, *tokenizer_, prompts, config, info_.eos, progress);
}

Tensor TransformerModel::embed(const Tensor& ids, Side side) const {
  if (side != Side::target) throw InputError("a decoder-only model has no source to embed");
  const c10::InferenceMode normal_mode(false);
  const at::NoGradGuard no_grad;
  return decoder_->embed(checked_ids(ids, {}, info_.vocabulary));
}

/// [B,L,D], a tensor of its own, with zeros at padded positions so that whatever stands there reaches no other row.
Tensor TransformerModel::input_embeddings(const Inputs& inputs, const std::vector<std::int64_t>& lengths) const {
  const std::int64_t batch = inputs.target.ids.size(0), longest = inputs.target.ids.size(1);
  const Tensor padding = padding_mask(lengths, longest);
  Tensor result;
  if (inputs.target_embeddings.defined()) {
    if (inputs.target_embeddings.sizes() != at::IntArrayRef({batch, longest, info_.hidden}))
      throw std::invalid_argument("expected target embeddings [B,L,D] that fit the ids");
    result = inputs.target_embeddings.detach().to(at::kFloat).clone();
  } else {
    result = decoder_->embed(checked_ids(inputs.target.ids, padding, info_.vocabulary));
  }
  return padding.defined() ? result.masked_fill(padding, 0) : result;
}

Forward TransformerModel::forward(const Inputs& inputs, const ForwardRequest& request) const {
  if (inputs.source.defined() || inputs.source_embeddings.defined())
    throw InputError("a decoder-only model takes no source");
  const c10::InferenceMode normal_mode(false);
  const at::NoGradGuard no_grad;
  const auto lengths = checked_lengths(inputs.target, info_.max_positions);
  const std::int64_t batch = inputs.target.ids.size(0), longest = inputs.target.ids.size(1);
  if (!request.positions.defined() || request.positions.dim() != 2 || request.positions.size(0) != batch)
    throw std::invalid_argument("expected positions [B,T]");
  const AskedRows asked = asked_rows(request.positions, lengths, longest);

  const Tensor embeddings = input_embeddings(inputs, lengths);
  auto trace = request.trace ? std::make_unique<ModelTrace>(*this) : nullptr;
  DecoderPass pass{lengths};
  if (trace) pass.trace = &trace->pass.decoder;
  pass.attentions = request.attentions;
  pass.block_inputs = request.layer_states;
  DecoderOutput output = decoder_->run(embeddings, pass);

  Forward result;
  const std::int64_t steps = request.positions.size(1);
  Tensor logits = at::zeros({batch * steps, info_.vocabulary}, embeddings.options());
  if (asked.row.numel() > 0) {
    const Tensor rows = decoder_->final_norm().forward(output.states.flatten(0, 1).index_select(0, asked.row),
                                                       trace ? &trace->pass.final_norm : nullptr);
    const Tensor some = decoder_->logits(rows);
    logits = some.size(0) == logits.size(0) ? some : logits.index_copy(0, asked.index, some);
  }
  result.logits = logits.view({batch, steps, info_.vocabulary});
  if (request.attentions) result.target_attentions = at::stack(output.attentions, 1);
  if (request.layer_states) {
    result.layer_states = std::move(output.block_inputs);
    result.layer_states.push_back(decoder_->normalise(output.states));
  }
  if (request.trace) {
    trace->pass.positions = request.positions.to(at::kLong);
    trace->pass.index = asked.index;
    trace->pass.longest = longest;
    trace->first_changed = request.shared ? request.shared.first_changed : at::zeros({batch}, at::kLong);
    result.trace = std::move(trace);
  }
  return result;
}

Gradients TransformerModel::pull_back(const Forward& forward, const Cotangents& cotangents,
                                      const PullBackRequest& request) const {
  if (!forward.trace || !forward.trace->belongs_to(*this))
    throw std::invalid_argument("pull_back needs a forward pass of this model that was asked for a trace");
  for (const BackwardRule& rule : request.rules)
    throw UnknownName({}, "backward rule", rule.rule, {kGradientRule});
  if (!request.layers.empty()) throw ConfigError("gradients at the inputs of blocks are not offered by this model");
  if (request.source) throw InputError("a decoder-only model has no source to take gradients at");
  const std::int64_t steps = cotangents.logits.defined() && cotangents.logits.dim() == 3 ? cotangents.logits.size(1) : 0;
  if (steps == 0 || cotangents.first_step < 0 || cotangents.first_step + steps > forward.logits.size(1) ||
      cotangents.logits.size(0) != forward.logits.size(0) || cotangents.logits.size(2) != forward.logits.size(2))
    throw std::invalid_argument("expected cotangents [B,T',V] of some steps of the logits, [B,T,V]");
  Gradients result;
  if (!request.target) return result;
  const c10::InferenceMode normal_mode(false);
  const at::NoGradGuard no_grad;
  const auto& trace = static_cast<const ModelTrace&>(*forward.trace);
  Tensor all = at::zeros_like(forward.logits);
  all.narrow(1, cotangents.first_step, steps).copy_(cotangents.logits);
  result.target = transformer::pull_back(*decoder_, trace.pass, all).narrow(2, cotangents.first_step, steps);
  if (request.first_changed_only) {
    const Tensor rows = trace.first_changed.view({-1, 1, 1, 1}).expand({-1, 1, steps, info_.hidden});
    result.target = result.target.gather(1, rows);
  }
  return result;
}

const void* TransformerModel::query(std::string_view capability) const {
  return capability == CheckpointReport::kCapability ? &report_ : nullptr;
}

}  // namespace whence::transformer
