#include "transformer_model.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>

#include <stdexcept>

#include "backward_rules.h"
#include "cached_decoder.h"
#include "checkpoint_generation.h"
#include "decoder_weights.h"
#include "padded_batch.h"
#include "text_generation.h"
#include "value_zeroing_pass.h"
#include "weight_policy.h"
#include "whence/error.h"

namespace whence::transformer {
namespace {

constexpr std::int64_t kFloat = sizeof(float);

/// What a forward keeps for later calls of the same model.
struct ModelTrace final : Trace {
  using Trace::Trace;

  bool traced = false, kept = false;
  PassTrace pass;
  KeyValues key_values;
  std::vector<std::int64_t> lengths;  ///< of the texts
  std::int64_t longest = 0;           ///< L
};

PassBytes pass_bytes(const DecoderConfig& c, std::int64_t scratch) {
  const std::int64_t layers = std::ssize(c.layers);
  const std::int64_t queries = c.heads * c.head_size, heads = queries + 2 * c.key_value_heads * c.head_size;
  PassBytes bytes;
  // The stream of a pass and one layer's heads and mixture.
  bytes.forward_row = kFloat * (2 * c.hidden + heads + queries);
  // Normed inputs, heads, gates, and once the factors of the inner cotangents.
  bytes.traced_row = kFloat * (layers * (2 * c.hidden + 2 + heads + 2 * c.inner) + 2 * c.inner);
  if (c.query_key_norm) bytes.traced_row += kFloat * layers * (queries + heads) / 2;
  bytes.prefix_row = kFloat * layers * heads;
  // The cotangent, those of one layer's heads and mixture.
  bytes.cotangent_row = kFloat * (c.hidden + heads + queries);
  // The stream, what is added to it and the mixture.
  bytes.zeroed_row = kFloat * (2 * c.hidden + queries);
  bytes.most_zeroed_rows = kZeroedRowsTogether;
  bytes.fixed = scratch;
  return bytes;
}

const ModelTrace* trace_of(const Forward& forward, const Model& model) {
  return forward.trace && forward.trace->belongs_to(model) ? static_cast<const ModelTrace*>(forward.trace.get())
                                                           : nullptr;
}

const std::int64_t* longs(const Tensor& tensor, std::int64_t count, const char* what) {
  if (!tensor.defined() || tensor.scalar_type() != at::kLong || tensor.numel() != count || !tensor.is_contiguous())
    throw std::invalid_argument(std::string("expected ") + what + " of int64, one for each text");
  return tensor.const_data_ptr<std::int64_t>();
}

/// The asked positions [B,T] as rows of the pass, by text, then by step; rows are filled in by `place`.
std::vector<ReadRow> read_rows(const Tensor& positions, const std::vector<std::int64_t>& lengths) {
  const Tensor packed = positions.to(at::kLong).contiguous();
  const std::int64_t steps = packed.size(1);
  std::vector<ReadRow> result;
  for (std::int64_t i = 0; i < packed.numel(); ++i) {
    const std::int64_t b = i / steps, position = packed.const_data_ptr<std::int64_t>()[i];
    if (position == -1) continue;
    if (position < 0 || position >= lengths[static_cast<std::size_t>(b)])
      throw InputError("sequence " + std::to_string(b) + ": position " + std::to_string(position) +
                       " is outside the text; expected 0 to " +
                       std::to_string(lengths[static_cast<std::size_t>(b)] - 1));
    result.push_back({b, i % steps, position, 0});
  }
  return result;
}

/// Rows after the last one that is read are of no use unless somebody wants to see them.
std::vector<std::int64_t> needed_ends(const std::vector<ReadRow>& read, const std::vector<std::int64_t>& lengths,
                                      bool all) {
  if (all) return lengths;
  std::vector<std::int64_t> ends(lengths.size(), 0);
  for (const ReadRow& row : read) {
    std::int64_t& end = ends[static_cast<std::size_t>(row.text)];
    end = std::max(end, row.position + 1);
  }
  return ends;
}

/// Whole texts as segments, up to `ends`.
RowLayout whole_texts(const std::vector<std::int64_t>& ends) {
  RowLayout layout;
  for (std::int64_t b = 0; b < std::ssize(ends); ++b) layout.add({b, 0, 0, ends[static_cast<std::size_t>(b)]});
  return layout;
}

/// Texts from their first changed rows on, behind what they share with the base.
RowLayout changed_parts(const SharedPrefix& shared, const ModelTrace& base, const Rotary& rotary,
                        const std::vector<std::int64_t>& lengths, const std::vector<std::int64_t>& ends) {
  const std::int64_t batch = std::ssize(lengths);
  const std::int64_t* texts = longs(shared.sequences, batch, "sequences of the base");
  const std::int64_t* starts = longs(shared.first_changed, batch, "first changed rows");
  RowLayout layout;
  for (std::int64_t b = 0; b < batch; ++b) {
    const auto own = static_cast<std::size_t>(b);
    if (texts[b] < 0 || texts[b] >= std::ssize(base.lengths))
      throw std::invalid_argument("a text shares its beginning with a text that the base does not have");
    const auto other = static_cast<std::size_t>(texts[b]);
    if (starts[b] < 0 || starts[b] >= std::min(lengths[own], base.lengths[other]))
      throw std::invalid_argument("the first changed row of a text lies outside of it or of the base");
    if (!rotary.same_frequencies(lengths[own], base.lengths[other]))
      throw std::invalid_argument("a text turns with other frequencies than the text it shares its beginning with");
    layout.add({b, 0, starts[b], std::max<std::int64_t>(0, ends[own] - starts[b]), &base.key_values, texts[b]});
  }
  return layout;
}

/// Fills in where each read row lies in the pass.
void place(std::vector<ReadRow>& read, const RowLayout& layout) {
  for (ReadRow& row : read) {
    const Segment& segment = layout.segments[static_cast<std::size_t>(row.text)];
    if (row.position < segment.start)
      throw std::invalid_argument("a position before the first changed row was asked for");
    row.row = segment.row + row.position - segment.start;
  }
}

/// Rows [R,D] of a pass as [B,L,D], zeros where there is none.
Tensor padded(const Tensor& rows, const RowLayout& layout, std::int64_t longest) {
  Tensor result = at::zeros({std::ssize(layout.segments), longest, rows.size(1)}, rows.options());
  for (const Segment& segment : layout.segments)
    if (segment.count > 0)
      result.select(0, segment.text)
          .narrow(0, segment.start, segment.count)
          .copy_(rows.narrow(0, segment.row, segment.count));
  return result;
}

/// Packed cotangents [C,D] as [B,L,T,D]; with `first_changed_only` [B,1,T,D], the first row of each segment.
Tensor unpacked(const PackedCotangents& packed, const Tensor& rows, const RowLayout& layout, std::int64_t longest,
                std::int64_t steps, bool first_changed_only, std::int64_t hidden) {
  Tensor result = at::zeros({std::ssize(layout.segments), first_changed_only ? 1 : longest, steps, hidden});
  for (const CotangentSteps& text : packed.texts) {
    const Segment& segment = layout.segments[static_cast<std::size_t>(text.segment)];
    const std::int64_t positions = first_changed_only ? 1 : std::ssize(text.offset);
    for (std::int64_t i = 0; i < positions; ++i)
      for (std::int64_t k = text.active[static_cast<std::size_t>(i)]; k < std::ssize(text.step); ++k) {
        const std::int64_t position = first_changed_only ? 0 : segment.start + i;
        std::copy_n(
            rows.const_data_ptr<float>() + text.row(i, k) * hidden, hidden,
            result.mutable_data_ptr<float>() +
                ((segment.text * result.size(1) + position) * steps + text.step[static_cast<std::size_t>(k)]) * hidden);
      }
  }
  return result;
}

}  // namespace

TransformerModel::TransformerModel(const Checkpoint& checkpoint, const ModelRequest& request) {
  // Tensors made in inference mode could never take part in a trace.
  const c10::InferenceMode normal_mode(false);
  const at::NoGradGuard no_grad;
  DecoderConfig config = read_decoder_config(checkpoint.architecture(), checkpoint.hyper_parameters());
  tokenizer_ = checkpoint.tokenizer();
  WeightReader reader(checkpoint.store(), checkpoint.weight_names());
  DecoderWeights weights = read_decoder_weights(config, reader);
  Rotary rotary = read_rotary(config, reader);
  const WeightPolicy policy = choose_weight_policy(request, config);
  const WeightBytes bytes = weight_bytes(config, policy);
  report_ = {checkpoint.store().description(), reader.unused()};

  info_.kind = ModelKind::decoder_only;
  info_.name = checkpoint.name();
  info_.architecture = checkpoint.architecture().name;
  info_.class_name = checkpoint.class_name();
  info_.layers = std::ssize(config.layers);
  info_.heads = config.heads;
  info_.hidden = config.hidden;
  info_.vocabulary = config.vocabulary;
  info_.max_positions = config.positions;
  info_.parameters = reader.parameters();
  info_.dtype = request.dtype;
  info_.weights_format = checkpoint.weights_format();
  info_.eos = checkpoint.eos();
  CheckpointGeneration generation = read_checkpoint_generation(checkpoint.path());
  info_.generation = std::move(generation.options);
  no_generation_ = std::move(generation.unsupported);
  info_.pass_bytes = pass_bytes(config, bytes.scratch);
  info_.weight_bytes = bytes.resident;
  info_.mapped_bytes = policy.resident ? weights.embedding.mapped_bytes() : checkpoint.store().byte_size();
  info_.files = checkpoint.files();
  decoder_ = std::make_unique<Decoder<float>>(std::move(config), std::move(weights), std::move(rotary), policy);
}

std::vector<std::int64_t> TransformerModel::text_lengths(const Inputs& inputs) const {
  if (inputs.source.defined() || inputs.source_embeddings.defined())
    throw InputError("a decoder-only model takes no source");
  return checked_lengths(inputs.target, info_.max_positions);
}

Generation TransformerModel::generate(const Inputs& inputs, const GenerationConfig& config,
                                      const GenerationProgress& progress) const {
  const c10::InferenceMode normal_mode(false);
  const at::NoGradGuard no_grad;
  if (!no_generation_.empty()) throw ModelError(no_generation_);
  const auto lengths = checked_lengths(inputs.target, info_.max_positions);
  const Tensor padding = padding_mask(lengths, inputs.target.ids.size(1));
  const Tensor ids = checked_ids(inputs.target.ids, padding, info_.vocabulary);
  std::vector<TokenIds> prompts;
  for (std::size_t b = 0; b < lengths.size(); ++b) {
    const std::int64_t* first = ids.const_data_ptr<std::int64_t>() + static_cast<std::int64_t>(b) * ids.size(1);
    prompts.emplace_back(first, first + lengths[b]);
  }
  CachedDecoder scorer(*decoder_);
  return generate_texts(scorer, info_, *tokenizer_, prompts, config, progress);
}

Tensor TransformerModel::embed(const Tensor& ids, Side side) const {
  if (side != Side::target) throw InputError("a decoder-only model has no source to embed");
  const c10::InferenceMode normal_mode(false);
  const at::NoGradGuard no_grad;
  std::vector<std::int64_t> shape(ids.sizes().begin(), ids.sizes().end());
  shape.push_back(info_.hidden);
  return decoder_->embed(checked_ids(ids, {}, info_.vocabulary)).view(shape);
}

Tensor TransformerModel::input_rows(const Inputs& inputs, const RowLayout& layout,
                                    const std::vector<std::int64_t>& lengths) const {
  const std::int64_t batch = inputs.target.ids.size(0), longest = inputs.target.ids.size(1);
  const bool given = inputs.target_embeddings.defined();
  if (given && inputs.target_embeddings.sizes() != at::IntArrayRef({batch, longest, info_.hidden}))
    throw std::invalid_argument("expected target embeddings [B,L,D] that fit the ids");
  const Tensor all = given ? inputs.target_embeddings.detach()
                           : checked_ids(inputs.target.ids, padding_mask(lengths, longest), info_.vocabulary);
  std::vector<Tensor> parts;
  for (const Segment& segment : layout.segments)
    parts.push_back(all.select(0, segment.text).narrow(0, segment.start, segment.count));
  const Tensor rows = at::cat(parts);
  return given ? rows.to(at::kFloat) : decoder_->embed(rows);
}

Forward TransformerModel::forward(const Inputs& inputs, const ForwardRequest& request) const {
  const c10::InferenceMode normal_mode(false);
  const at::NoGradGuard no_grad;
  const auto lengths = text_lengths(inputs);
  const std::int64_t batch = inputs.target.ids.size(0), longest = inputs.target.ids.size(1);
  if (!request.positions.defined() || request.positions.dim() != 2 || request.positions.size(0) != batch)
    throw std::invalid_argument("expected positions [B,T]");
  const bool captures = request.attentions || request.layer_states;
  const ModelTrace* base = nullptr;
  if (request.shared) {
    if (captures || request.keep_prefix)
      throw std::invalid_argument("a pass with a shared prefix has neither captures nor a prefix to keep");
    base = trace_of(*request.shared.base, *this);
    if (!base || !base->kept)
      throw std::invalid_argument("a shared prefix needs a pass of this model that was asked to keep its own");
  }

  std::vector<ReadRow> read = read_rows(request.positions, lengths);
  const auto ends = needed_ends(read, lengths, captures || request.keep_prefix);
  const RowLayout layout =
      base ? changed_parts(request.shared, *base, decoder_->rotary(), lengths, ends) : whole_texts(ends);
  place(read, layout);

  auto trace = std::make_unique<ModelTrace>(*this);
  trace->traced = request.trace;
  trace->kept = request.keep_prefix;
  trace->lengths = lengths;
  trace->longest = longest;
  Forward result;
  std::vector<Tensor> attentions, block_inputs;
  DecoderPass pass{layout, lengths};
  if (request.attentions) pass.attentions = &attentions;
  if (request.layer_states) pass.block_inputs = &block_inputs;
  if (request.trace) pass.trace = &trace->pass.decoder;
  if (request.keep_prefix) pass.keep = &trace->key_values;

  const std::int64_t steps = request.positions.size(1);
  Tensor logits = at::zeros({batch * steps, info_.vocabulary});
  if (layout.rows() > 0) {
    const Tensor states = decoder_->run(input_rows(inputs, layout, lengths), pass);
    ++counters_.forward_passes;
    counters_.forward_rows += layout.rows();
    if (!read.empty()) {
      std::vector<std::int64_t> rows, places;
      for (const ReadRow& row : read) {
        rows.push_back(row.row);
        places.push_back(row.text * steps + row.step);
      }
      const Tensor normed =
          decoder_->normalise_rows(states.index_select(0, at::tensor(rows, at::kLong)), &trace->pass.final_inverse);
      const Tensor some = decoder_->head().forward(normed);
      counters_.head_rows += some.size(0);
      logits = some.size(0) == logits.size(0) ? some : logits.index_copy_(0, at::tensor(places, at::kLong), some);
      if (request.trace) trace->pass.final_normed = normed;
    }
    if (request.attentions) result.target_attentions = at::stack(attentions, 1);
    if (request.layer_states) {
      for (const Tensor& state : block_inputs) result.layer_states.push_back(padded(state, layout, longest));
      result.layer_states.push_back(padded(decoder_->final_states(states), layout, longest));
    }
  }
  result.logits = logits.view({batch, steps, info_.vocabulary});
  if (request.trace || request.keep_prefix) {
    trace->pass.decoder.layout = layout;
    trace->pass.read = std::move(read);
    result.trace = std::move(trace);
  }
  return result;
}

Gradients TransformerModel::pull_back(const Forward& forward, const Cotangents& cotangents,
                                      const PullBackRequest& request) const {
  const ModelTrace* trace = trace_of(forward, *this);
  if (!trace || !trace->traced)
    throw std::invalid_argument("pull_back needs a forward pass of this model that was asked for a trace");
  if (request.source) throw InputError("a decoder-only model has no source to take gradients at");
  const std::int64_t steps =
      cotangents.logits.defined() && cotangents.logits.dim() == 3 ? cotangents.logits.size(1) : 0;
  if (steps == 0 || cotangents.first_step < 0 || cotangents.first_step + steps > forward.logits.size(1) ||
      cotangents.logits.size(0) != forward.logits.size(0) || cotangents.logits.size(2) != forward.logits.size(2))
    throw std::invalid_argument("expected cotangents [B,T',V] of some steps of the logits, [B,T,V]");
  for (const std::int64_t layer : request.layers)
    if (layer < 0 || layer > info_.layers)
      throw ConfigError("layer " + std::to_string(layer) + " is not in the model; expected 0 to " +
                        std::to_string(info_.layers) + ", where " + std::to_string(info_.layers) +
                        " is the input of the final norm");
  const PassTrace* reference = nullptr;
  if (request.reference) {
    const ModelTrace* other = trace_of(*request.reference, *this);
    if (!other || !other->traced || other->pass.decoder.layout.position != trace->pass.decoder.layout.position)
      throw std::invalid_argument("a reference pass must be a traced pass of this model over the same rows");
    reference = &other->pass;
  }
  const DecoderRules rules = read_rules(request.rules, reference);

  const c10::InferenceMode normal_mode(false);
  const at::NoGradGuard no_grad;
  const PackedCotangents packed =
      transformer::pull_back(*decoder_, trace->pass, cotangents.logits.to(at::kFloat).contiguous(),
                             cotangents.first_step, request.layers, rules);
  ++counters_.backward_passes;
  counters_.backward_rows += packed.rows;
  const auto as_asked = [&](const Tensor& rows) {
    return unpacked(packed, rows, trace->pass.decoder.layout, trace->longest, steps, request.first_changed_only,
                    info_.hidden);
  };
  Gradients result;
  if (request.target) result.target = as_asked(packed.embeddings);
  for (const Tensor& layer : packed.layers) result.layers.push_back(as_asked(layer));
  return result;
}

void TransformerModel::zero_values(const Inputs& inputs, const Request& request, const Visitor& visit) const {
  const c10::InferenceMode normal_mode(false);
  const at::NoGradGuard no_grad;
  const auto lengths = text_lengths(inputs);
  std::vector<ReadRow> read = read_rows(request.positions, lengths);
  const RowLayout layout = whole_texts(needed_ends(read, lengths, false));
  place(read, layout);
  if (layout.rows() == 0) return;
  const std::int64_t rows =
      visit_zeroed_values(*decoder_, layout, lengths, input_rows(inputs, layout, lengths), read, request.heads, visit);
  ++counters_.forward_passes;
  counters_.forward_rows += rows;
}

Work TransformerModel::work() const {
  return {counters_.forward_passes, counters_.backward_passes, counters_.forward_rows, counters_.head_rows,
          counters_.backward_rows};
}

const void* TransformerModel::query(std::string_view capability) const {
  if (capability == CheckpointReport::kCapability) return &report_;
  if (capability == ValueZeroing::kCapability) return static_cast<const ValueZeroing*>(this);
  return nullptr;
}

}  // namespace whence::transformer
