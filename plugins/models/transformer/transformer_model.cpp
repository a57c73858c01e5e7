#include "transformer_model.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "backward_rules.h"
#include "cached_decoder.h"
#include "checkpoint_generation.h"
#include "module_names.h"
#include "padded_batch.h"
#include "pass_layout.h"
#include "stack_weights.h"
#include "text_generation.h"
#include "unread_settings.h"
#include "value_zeroing_pass.h"
#include "weight_policy.h"
#include "whence/error.h"

namespace whence::transformer {
namespace {

RowLayout some_rows(const RowLayout& layout, const std::vector<std::int64_t>& rows) {
  RowLayout result{.segments = layout.segments};
  for (const std::int64_t row : rows) {
    result.position.push_back(layout.position[static_cast<std::size_t>(row)]);
    result.segment.push_back(layout.segment[static_cast<std::size_t>(row)]);
  }
  return result;
}

constexpr std::int64_t kFloat = sizeof(float);

/// What a forward keeps for later calls of the same model.
struct ModelTrace final : Trace {
  using Trace::Trace;

  bool traced = false, kept = false, shared = false;
  PassTrace pass;
  KeyValues key_values;
  std::vector<std::int64_t> lengths;  ///< of the texts
  std::int64_t longest = 0;           ///< L
  std::int64_t longest_source = 0;    ///< S
};

/// Numbers that a pass takes for each of its rows.
struct RowNumbers {
  std::int64_t forward = 0, traced = 0, heads = 0, cotangent = 0;
};

RowNumbers row_numbers(const StackConfig& c, bool crosses) {
  const AttentionConfig& a = c.attention;
  const std::int64_t queries = a.heads * a.head_size, heads = queries + 2 * a.key_value_heads * a.head_size;
  const std::int64_t norms_of_branch = (c.block.input_norms ? 1 : 0) + (c.block.branch_norms ? 1 : 0) +
                                       (c.block.stream_norms || c.block.residual_from_norm ? 1 : 0);
  const std::int64_t branches = crosses ? 3 : 2;
  // The stream of a pass and one layer's heads and mixture.
  RowNumbers numbers{2 * c.hidden + heads + queries, 0, heads, 0};
  // Normed inputs, heads, gates, and once the factors of the inner cotangents.
  std::int64_t widest = 0;
  for (const LayerConfig& layer : c.layers) {
    const ExpertsConfig& e = c.experts;
    const std::int64_t inner = layer.experts ? e.chosen * e.each.inner + e.shared_inner : c.mlp.inner;
    const bool gated = layer.experts ? e.each.gated : c.mlp.gated;
    numbers.traced += branches * norms_of_branch * (c.hidden + 1) + heads + (gated ? 2 : 1) * inner;
    if (crosses) numbers.traced += queries;
    if (layer.experts) numbers.traced += e.count + 5 * e.chosen;
    if (a.norm != HeadNorm::none) numbers.traced += (queries + heads) / 2;
    if (a.clamp > 0) numbers.traced += heads;
    widest = std::max(widest, 2 * inner);
    // What the experts read and make of a row.
    if (layer.experts) numbers.forward = std::max(numbers.forward, (e.chosen + 4) * c.hidden + heads + queries);
  }
  numbers.traced += widest;
  // The cotangent, those of one layer's heads and mixture, and of a source's keys and values.
  numbers.cotangent = c.hidden + heads + queries + (crosses ? heads : 0);
  return numbers;
}

/// `encoder` may be null.
PassBytes pass_bytes(const DecoderConfig& decoder, const StackConfig* encoder, std::int64_t scratch) {
  RowNumbers row = row_numbers(decoder, encoder != nullptr);
  PassBytes bytes;
  if (encoder) {
    // Rows of either side count alike; those of the source have keys and values for every layer of the decoder.
    const RowNumbers source = row_numbers(*encoder, false);
    const std::int64_t keys =
        std::ssize(decoder.layers) * 2 * decoder.attention.key_value_heads * decoder.attention.head_size;
    row = {std::max(row.forward, source.forward + keys), std::max(row.traced, source.traced + keys), row.heads,
           std::max(row.cotangent, source.cotangent)};
  }
  bytes.prefix_row = kFloat * std::ssize(decoder.layers) * row.heads;
  // The stream, what is added to it and the mixture, with a source also queries to it and what they mix.
  const auto zeroed_row = [](const StackConfig& c, std::int64_t mixtures) {
    return kFloat * (2 * c.hidden + mixtures * c.attention.heads * c.attention.head_size);
  };
  bytes.zeroed_row = zeroed_row(decoder, encoder ? 3 : 1);
  if (encoder) bytes.zeroed_row = std::max(bytes.zeroed_row, zeroed_row(*encoder, 1));
  bytes.most_zeroed_rows = kZeroedRowsTogether;
  bytes.forward_row = kFloat * row.forward;
  bytes.traced_row = kFloat * row.traced;
  bytes.cotangent_row = kFloat * row.cotangent;
  bytes.fixed = scratch;
  return bytes;
}

/// Each text looks at the source of its own number.
std::vector<std::int64_t> own_sources(std::size_t texts) {
  std::vector<std::int64_t> sources(texts);
  std::iota(sources.begin(), sources.end(), 0);
  return sources;
}

/// Throws std::invalid_argument for a place before the block that a pass began at.
void check_begins(const StackTrace& trace, const PullBackEnds& ends) {
  const auto before = [&](std::int64_t layer) { return layer < trace.first_block; };
  if (trace.first_block > 0 && (ends.embeddings || std::ranges::any_of(ends.layers, before)))
    throw std::invalid_argument("a pass that begins at layer " + std::to_string(trace.first_block) +
                                " has no gradients before it");
}

const ModelTrace* trace_of(const Forward& forward, const Model& model) {
  return forward.trace && forward.trace->belongs_to(model) ? static_cast<const ModelTrace*>(forward.trace.get())
                                                           : nullptr;
}

}  // namespace

TransformerModel::TransformerModel(const Checkpoint& checkpoint, const ModelRequest& request) {
  // Tensors made in inference mode could never take part in a trace.
  const c10::InferenceMode normal_mode(false);
  const at::NoGradGuard no_grad;
  TransformerConfig config = read_transformer_config(checkpoint.architecture(), checkpoint.hyper_parameters());
  tokenizer_ = checkpoint.tokenizer();
  chat_template_ = checkpoint.chat_template();
  WeightReader reader(checkpoint.store(), checkpoint.weight_names());
  TransformerWeights weights = read_transformer_weights(config, reader);
  const WeightPolicy policy = choose_weight_policy(request, config);
  const WeightBytes bytes = weight_bytes(config, policy);
  const DecoderConfig& decoder = config.decoder;
  tensor_use_ = reader.use();
  unread_settings_.settings = unread_settings(checkpoint.architecture(), checkpoint.hyper_parameters());

  info_.kind = checkpoint.architecture().kind;
  info_.name = checkpoint.name();
  info_.architecture = checkpoint.architecture().name;
  info_.class_name = checkpoint.class_name();
  info_.layers = std::ssize(decoder.layers);
  info_.encoder_layers = config.encoder ? std::ssize(config.encoder->layers) : 0;
  info_.heads = decoder.attention.heads;
  info_.hidden = decoder.hidden;
  info_.embedding = decoder.width;
  info_.vocabulary = decoder.vocabulary;
  info_.max_positions = decoder.positions;
  info_.parameters = reader.parameters();
  std::vector<const StackConfig*> stacks{&decoder};
  if (config.encoder) stacks.push_back(&*config.encoder);
  for (const StackConfig* own : stacks)
    for (const LayerConfig& layer : own->layers) {
      const std::string name = name_of(layer.experts ? own->experts.each.activation : own->mlp.activation);
      if (std::ranges::find(info_.activations, name) == info_.activations.end()) info_.activations.push_back(name);
    }
  info_.gated = has_gates(stacks);
  info_.modules = module_names(checkpoint.architecture());
  info_.dtype = request.dtype;
  info_.weights_format = checkpoint.weights_format();
  info_.eos = checkpoint.eos();
  info_.decoder_start = checkpoint.decoder_start();
  CheckpointGeneration generation = read_checkpoint_generation(checkpoint.path());
  info_.generation = std::move(generation.options);
  no_generation_ = std::move(generation.unsupported);
  info_.masks_attention = true;
  info_.pass_bytes = pass_bytes(decoder, config.encoder ? &*config.encoder : nullptr, bytes.scratch);
  info_.weight_bytes = bytes.resident;
  info_.mapped_bytes =
      policy.resident ? weights.decoder.stack.embedding.mapped_bytes() : checkpoint.store().byte_size();
  info_.files = checkpoint.files();
  if (config.encoder)
    encoder_ = std::make_unique<Stack<float>>(*config.encoder, std::move(*weights.encoder), policy, Sight::all);
  decoder_ = std::make_unique<Decoder<float>>(decoder, std::move(weights.decoder), policy);
  info_.rows_depend_on_length =
      std::any_of(decoder_->rotary().begin(), decoder_->rotary().end(),
                  [&](const Rotary& rotary) { return !rotary.same_frequencies(1, info_.max_positions); });
}

std::vector<std::int64_t> TransformerModel::text_lengths(const Inputs& inputs) const {
  if (!encoder_ && (inputs.source.defined() || inputs.source_embeddings.defined()))
    throw InputError("a decoder-only model takes no source");
  if (encoder_ && (!inputs.source.defined() || inputs.source.ids.size(0) != inputs.target.ids.size(0)))
    throw InputError("an encoder-decoder model needs a source for every target text");
  return checked_lengths(inputs.target, info_.max_positions);
}

const Stack<float>& TransformerModel::stack(Side side) const {
  if (side == Side::target) return *decoder_;
  if (!encoder_) throw InputError("a decoder-only model has no source to embed");
  return *encoder_;
}

Generation TransformerModel::generate(const Inputs& inputs, const GenerationConfig& config,
                                      const GenerationProgress& progress) const {
  const c10::InferenceMode normal_mode(false);
  const at::NoGradGuard no_grad;
  if (!no_generation_.empty()) throw ModelError(no_generation_);
  if (inputs.target.unseen.defined() || inputs.source.unseen.defined())
    throw std::invalid_argument("generation passes over no positions");
  const auto lengths = text_lengths(inputs);
  const Tensor padding = padding_mask(lengths, inputs.target.ids.size(1));
  const Tensor ids = checked_ids(inputs.target.ids, padding, info_.vocabulary);
  std::vector<TokenIds> prompts;
  for (std::size_t b = 0; b < lengths.size(); ++b) {
    const std::int64_t* first = ids.const_data_ptr<std::int64_t>() + static_cast<std::int64_t>(b) * ids.size(1);
    prompts.emplace_back(first, first + lengths[b]);
  }
  SourceTrace source;
  if (encoder_) encode(inputs, {}, nullptr, nullptr, source);
  CachedDecoder scorer(*decoder_, encoder_ ? &source.key_values : nullptr);
  return generate_texts(scorer, info_, tokenizer_->on(Side::target), prompts, config, progress);
}

Tensor TransformerModel::embed(const Tensor& ids, Side side) const {
  const c10::InferenceMode normal_mode(false);
  const at::NoGradGuard no_grad;
  const Stack<float>& own = stack(side);
  std::vector<std::int64_t> shape(ids.sizes().begin(), ids.sizes().end());
  shape.push_back(own.config().width);
  return own.embed(checked_ids(ids, {}, own.vocabulary())).view(shape);
}

Tensor TransformerModel::input_rows(const Inputs& inputs, Side side, const RowLayout& layout,
                                    const std::vector<std::int64_t>& lengths) const {
  const Stack<float>& own = stack(side);
  const Tensor& ids = side == Side::target ? inputs.target.ids : inputs.source.ids;
  const Tensor& embeddings = side == Side::target ? inputs.target_embeddings : inputs.source_embeddings;
  const std::int64_t batch = ids.size(0), longest = ids.size(1);
  const bool given = embeddings.defined();
  if (given && embeddings.sizes() != at::IntArrayRef({batch, longest, own.config().width}))
    throw std::invalid_argument("expected embeddings [B,L,E] that fit the ids");
  const Tensor all = given ? embeddings.detach() : checked_ids(ids, padding_mask(lengths, longest), own.vocabulary());
  const Tensor rows = packed(all, layout);
  return given ? rows.to(at::kFloat) : own.embed(rows);
}

Tensor TransformerModel::run_stack(const Inputs& inputs, Side side, const StackPass& pass) const {
  const Stack<float>& own = stack(side);
  const LayerStates& given = side == Side::target ? inputs.target_states : inputs.source_states;
  if (!given.defined()) return own.run(input_rows(inputs, side, pass.layout, pass.lengths), pass);
  return own.run_from(given.block, packed(given.states.detach().to(at::kFloat), pass.layout), pass);
}

void TransformerModel::check_site(const LayerSite& site) const {
  const std::int64_t layers = std::ssize(stack(site.stack).config().layers);
  if (site.block < 0 || site.block > layers)
    throw ConfigError("layer " + std::to_string(site.block) + " is not in the model; expected 0 to " +
                      std::to_string(layers) + ", where " + std::to_string(layers) + " is the input of the final norm");
}

void TransformerModel::check_states(const Inputs& inputs, const ForwardRequest& request) const {
  for (const LayerSite& site : request.sites) check_site(site);
  for (const Side side : {Side::source, Side::target}) {
    const bool target = side == Side::target;
    const LayerStates& given = target ? inputs.target_states : inputs.source_states;
    if (!given.defined()) continue;
    check_site({side, given.block});
    const PaddedIds& ids = target ? inputs.target : inputs.source;
    if (given.states.sizes() != at::IntArrayRef({ids.ids.size(0), ids.ids.size(1), stack(side).config().hidden}))
      throw std::invalid_argument("expected states [B,L,D] that fit the ids");
    if ((target ? inputs.target_embeddings : inputs.source_embeddings).defined())
      throw std::invalid_argument("a stack begins with embeddings or with states, not with both");
    if (request.attentions || request.layer_states || request.keep_prefix || request.shared)
      throw std::invalid_argument("a pass that begins with states has neither other captures nor prefixes");
    for (const LayerSite& site : request.sites)
      if (site.stack == side && site.block < given.block)
        throw std::invalid_argument("a pass has no states before the block that it begins at");
  }
  if (request.shared && !request.sites.empty())
    throw std::invalid_argument("a pass with a shared prefix captures no states");
}

void TransformerModel::encode(const Inputs& inputs, const ForwardRequest& request, std::vector<Tensor>* attentions,
                              StackStates* shown, SourceTrace& source) const {
  const auto lengths = checked_lengths(inputs.source, encoder_->config().positions);
  RowLayout layout = whole_texts(lengths);
  pass_over(inputs.source.unseen, layout);
  StackPass pass{layout, lengths};
  pass.attentions = attentions;
  pass.states = shown;
  if (request.trace) pass.trace = &source.stack;
  const DropoutMasks masks(encoder_->config().dropout, request.dropout, "encoder");
  if (!request.dropout.sequence_ids.empty()) pass.dropout = &masks;
  const Tensor states = encoder_->final_states(run_stack(inputs, Side::source, pass),
                                               request.trace ? &source.final_norm : nullptr, {pass.dropout, &layout});
  source.key_values = source_key_values(states, layout);
}

KeyValues TransformerModel::source_key_values(const Tensor& states, const RowLayout& layout) const {
  KeyValues keys;
  keys.layers = decoder_->cross_key_values(states);
  keys.value_column = decoder_->shape(0).cross.keys();
  for (const Segment& segment : layout.segments) {
    keys.first_row.push_back(segment.row);
    keys.length.push_back(segment.count);
  }
  return keys;
}

bool TransformerModel::drops() const {
  return decoder_->config().dropout.any() || (encoder_ && encoder_->config().dropout.any());
}

void TransformerModel::check_dropout(const ForwardRequest& request, std::int64_t batch) const {
  if (request.dropout.sequence_ids.empty()) return;
  if (std::ssize(request.dropout.sequence_ids) != batch)
    throw std::invalid_argument("expected the name of every text that numbers are dropped of");
  if (request.attentions || request.layer_states || request.trace || request.keep_prefix || request.shared ||
      !request.sites.empty())
    throw std::invalid_argument("a pass with dropout gives logits alone");
  if (!drops()) throw ConfigError(info_.name + ": the checkpoint has no dropout; ask for passes without");
}

Forward TransformerModel::forward(const Inputs& inputs, const ForwardRequest& request) const {
  const c10::InferenceMode normal_mode(false);
  const at::NoGradGuard no_grad;
  const auto lengths = text_lengths(inputs);
  const std::int64_t batch = inputs.target.ids.size(0), longest = inputs.target.ids.size(1);
  if (!request.positions.defined() || request.positions.dim() != 2 || request.positions.size(0) != batch)
    throw std::invalid_argument("expected positions [B,T]");
  check_states(inputs, request);
  const bool captures = request.attentions || request.layer_states;
  check_dropout(request, batch);
  const DropoutMasks masks(decoder_->config().dropout, request.dropout, "decoder");
  const bool dropping = !request.dropout.sequence_ids.empty();
  const ModelTrace* base = nullptr;
  if (request.shared) {
    if (captures || request.keep_prefix)
      throw std::invalid_argument("a pass with a shared prefix has neither captures nor a prefix to keep");
    base = trace_of(*request.shared.base, *this);
    if (!base || !base->kept)
      throw std::invalid_argument("a shared prefix needs a pass of this model that was asked to keep its own");
  }

  // What a row becomes depends on which positions are seen.
  const auto passes_over = [](const PaddedIds& ids) { return ids.unseen.defined() && ids.unseen.any().item<bool>(); };
  if ((base && passes_over(inputs.source)) ||
      (request.keep_prefix && (passes_over(inputs.source) || passes_over(inputs.target))))
    throw std::invalid_argument("texts share neither a source nor a prefix that is made with unseen positions");

  std::vector<ReadRow> read = read_rows(request.positions, lengths);
  const auto ends = needed_ends(read, lengths, captures || request.keep_prefix);
  RowLayout layout =
      base ? changed_parts(request.shared, base->lengths, base->key_values, decoder_->rotary(), lengths, ends)
           : whole_texts(ends);
  pass_over(inputs.target.unseen, layout);
  for (const Segment& segment : layout.segments)
    if (segment.unseen.defined() && segment.unseen.narrow(0, 0, segment.start).any().item<bool>())
      throw std::invalid_argument("an unseen position lies before the first changed row of its text");
  place(read, layout);

  auto trace = std::make_unique<ModelTrace>(*this);
  trace->traced = request.trace;
  trace->kept = request.keep_prefix;
  trace->shared = base != nullptr;
  trace->lengths = lengths;
  trace->longest = longest;
  Forward result;
  std::vector<Tensor> attentions, source_attentions, cross_attentions, block_inputs;
  StackPass pass{layout, lengths};
  if (request.attentions) pass.attentions = &attentions;
  if (request.layer_states) pass.block_inputs = &block_inputs;
  StackStates of_target, of_source;
  for (const LayerSite& site : request.sites)
    (site.stack == Side::target ? of_target : of_source).blocks.push_back(site.block);
  if (!of_target.blocks.empty()) pass.states = &of_target;
  if (request.trace) pass.trace = &trace->pass.stack;
  if (request.keep_prefix) pass.keep = &trace->key_values;
  if (dropping) pass.dropout = &masks;

  const std::int64_t steps = request.positions.size(1);
  Tensor logits = at::zeros({batch * steps, info_.vocabulary});
  if (layout.rows() > 0) {
    if (encoder_) {
      SourceTrace& source = trace->pass.source.emplace();
      if (base) {
        const KeyValues& kept = base->pass.source->key_values;
        const auto source_lengths = checked_lengths(inputs.source, encoder_->config().positions);
        source.seen_from = behind_sources(layout, kept, shared_sources(request.shared, kept, source_lengths));
      } else {
        encode(inputs, request, request.attentions ? &source_attentions : nullptr,
               of_source.blocks.empty() ? nullptr : &of_source, source);
        source.seen_from = behind_sources(layout, source.key_values, own_sources(lengths.size()));
        pass_over(inputs.source.unseen, source.seen_from);
        for (const std::int64_t length : source.key_values.length) counters_.forward_rows += length;
      }
      pass.source = &source.seen_from;
      if (request.attentions) pass.cross_attentions = &cross_attentions;
      trace->longest_source = inputs.source.ids.size(1);
    }
    const Tensor states = run_stack(inputs, Side::target, pass);
    ++counters_.forward_passes;
    counters_.forward_rows += layout.rows();
    if (!read.empty()) {
      std::vector<std::int64_t> rows, places;
      for (const ReadRow& row : read) {
        rows.push_back(row.row);
        places.push_back(row.text * steps + row.step);
      }
      const RowLayout read_layout = dropping ? some_rows(layout, rows) : RowLayout{};
      const Tensor some = decoder_->logits(states.index_select(0, at::tensor(rows, at::kLong)),
                                           request.trace ? &trace->pass : nullptr, {pass.dropout, &read_layout});
      counters_.head_rows += some.size(0);
      logits = some.size(0) == logits.size(0) ? some : logits.index_copy_(0, at::tensor(places, at::kLong), some);
    }
    if (request.attentions) result.target_attentions = at::stack(attentions, 1);
    if (request.attentions && encoder_) {
      result.source_attentions = at::stack(source_attentions, 1);
      result.cross_attentions = at::stack(cross_attentions, 1);
    }
    if (request.layer_states) {
      for (const Tensor& state : block_inputs) result.layer_states.push_back(padded(state, layout, longest));
      result.layer_states.push_back(padded(decoder_->final_states(states), layout, longest));
    }
  }
  auto shown = of_target.rows.begin(), shown_source = of_source.rows.begin();
  for (const LayerSite& site : request.sites) {
    const std::int64_t width = stack(site.stack).config().hidden;
    if (layout.rows() == 0)
      result.states.push_back(
          at::zeros({batch, site.stack == Side::target ? longest : inputs.source.ids.size(1), width}));
    else if (site.stack == Side::target)
      result.states.push_back(padded(*shown++, layout, longest));
    else
      result.states.push_back(
          padded(*shown_source++, whole_texts(trace->pass.source->key_values.length), trace->longest_source));
  }
  result.logits = logits.view({batch, steps, info_.vocabulary});
  if (request.trace || request.keep_prefix) {
    trace->pass.stack.layout = layout;
    trace->pass.read = std::move(read);
    result.trace = std::move(trace);
  }
  return result;
}

Gradients TransformerModel::pull_back(const Forward& forward, const Cotangents& cotangents,
                                      const PullBackRequest& request) const {
  return carry(forward, cotangents, request, /*of_states=*/false);
}

Tensor TransformerModel::final_states(const Tensor& states) const {
  const c10::InferenceMode normal_mode(false);
  const at::NoGradGuard no_grad;
  return decoder_->final_states(states.to(at::kFloat).contiguous());
}

Gradients TransformerModel::pull_back_states(const Forward& forward, const Tensor& cotangents, std::int64_t first_step,
                                             const PullBackRequest& request) const {
  return carry(forward, {cotangents, first_step}, request, /*of_states=*/true);
}

Gradients TransformerModel::carry(const Forward& forward, const Cotangents& given, const PullBackRequest& request,
                                  bool of_states) const {
  const auto& [cotangents, first_step, together] = given;
  const ModelTrace* trace = trace_of(forward, *this);
  if (!trace || !trace->traced)
    throw std::invalid_argument("pull_back needs a forward pass of this model that was asked for a trace");
  if (request.source && !encoder_) throw InputError("a decoder-only model has no source to take gradients at");
  const std::int64_t steps = cotangents.defined() && cotangents.dim() == 3 ? cotangents.size(1) : 0;
  if (steps == 0 || first_step < 0 || first_step + steps > forward.logits.size(1) ||
      cotangents.size(0) != forward.logits.size(0) ||
      cotangents.size(2) != (of_states ? info_.hidden : forward.logits.size(2)))
    throw std::invalid_argument(of_states ? "expected cotangents [B,T',D] of the final states of some steps"
                                          : "expected cotangents [B,T',V] of some steps of the logits, [B,T,V]");
  if (together < 1 || steps % together != 0 || (together > 1 && request.attentions))
    throw std::invalid_argument("expected a number of steps that is a multiple of those together, without attentions");
  PullBackEnds target{request.target, {}}, source{request.source, {}};
  for (const LayerSite& site : request.layers) {
    check_site(site);
    (site.stack == Side::target ? target : source).layers.push_back(site.block);
  }
  if (source.any() && trace->shared)
    throw std::invalid_argument("a pass with a shared prefix does not run its sources, so they have no gradients");
  check_begins(trace->pass.stack, target);
  if (trace->pass.source) check_begins(trace->pass.source->stack, source);
  const PassTrace* reference = nullptr;
  if (request.reference) {
    const ModelTrace* other = trace_of(*request.reference, *this);
    if (!other || !other->traced || other->pass.stack.layout.position != trace->pass.stack.layout.position)
      throw std::invalid_argument("a reference pass must be a traced pass of this model over the same rows");
    reference = &other->pass;
  }
  const DecoderRules rules = read_rules(request.rules, stacks(), reference);
  AttentionVisitor attentions;
  if (request.attentions) {
    if (trace->shared) throw std::invalid_argument("attentions are shown of whole texts, not behind a shared prefix");
    attentions = [&](const AttentionGradient& packed) {
      AttentionGradient shown = packed;
      shown.step += given.first_step;
      request.attentions(shown);
    };
  }

  const c10::InferenceMode normal_mode(false);
  const at::NoGradGuard no_grad;
  // Attentions are shown of all stacks, whether or not somebody wants gradients at the source.
  const bool through_source = source.any() || (request.attentions && encoder_);
  const PulledBack pulled = transformer::pull_back(*decoder_, through_source ? encoder_.get() : nullptr, trace->pass,
                                                   cotangents.to(at::kFloat).contiguous(), first_step, target, source,
                                                   rules, attentions, of_states, together);
  ++counters_.backward_passes;
  counters_.backward_rows += pulled.target.rows + pulled.source.rows;
  const auto as_asked = [&](const Tensor& rows, std::int64_t width) {
    return unpacked(pulled.target, rows, width, trace->pass.stack.layout, trace->longest, steps / given.together,
                    request.first_changed_only);
  };
  Gradients result;
  if (request.target) result.target = as_asked(pulled.target.embeddings, info_.embedding);
  const auto of_source = [&](const Tensor& rows, std::int64_t width) {
    return unpacked(pulled.source, rows, width, trace->pass.source->stack.layout, trace->longest_source,
                    steps / given.together, false);
  };
  if (request.source) result.source = of_source(pulled.source.embeddings, encoder_->config().width);
  auto target_layer = pulled.target.layers.begin(), source_layer = pulled.source.layers.begin();
  for (const LayerSite& site : request.layers)
    result.layers.push_back(site.stack == Side::target ? as_asked(*target_layer++, info_.hidden)
                                                       : of_source(*source_layer++, encoder_->config().hidden));
  return result;
}

ValueZeroing::Extent TransformerModel::extent(Attention attention) const {
  if (!encoder_ && attention != Attention::target) return {};
  const StackConfig& config = stack(attention == Attention::source ? Side::source : Side::target).config();
  return {std::ssize(config.layers), config.attention.heads};
}

void TransformerModel::zero_values(const Inputs& inputs, const ValueZeroing::Request& request,
                                   const ValueZeroing::Visitor& visit) const {
  const c10::InferenceMode normal_mode(false);
  const at::NoGradGuard no_grad;
  const auto lengths = text_lengths(inputs);
  if (!encoder_ && (request.source.positions.defined() || request.cross.positions.defined()))
    throw InputError("a decoder-only model has no source whose values could be zeroed");
  const auto asked_of = [](Attention attention, const Values& values, const std::vector<std::int64_t>& of_texts) {
    return ZeroedAttention{attention,
                           values.positions.defined() ? read_rows(values.positions, of_texts) : std::vector<ReadRow>(),
                           &values.heads};
  };
  std::vector<ZeroedAttention> asked = {asked_of(Attention::target, request.target, lengths)};
  if (encoder_) asked.push_back(asked_of(Attention::cross, request.cross, lengths));
  std::vector<std::int64_t> ends(lengths.size(), 0);
  for (const ZeroedAttention& one : asked) {
    const auto own = needed_ends(one.read, lengths, false);
    std::transform(own.begin(), own.end(), ends.begin(), ends.begin(),
                   [](std::int64_t a, std::int64_t b) { return std::max(a, b); });
  }
  RowLayout layout = whole_texts(ends);
  pass_over(inputs.target.unseen, layout);
  for (ZeroedAttention& one : asked) place(one.read, layout);

  std::int64_t rows = 0;
  KeyValues keys;
  RowLayout behind;
  if (encoder_) {
    const auto source_lengths = checked_lengths(inputs.source, encoder_->config().positions);
    RowLayout source = whole_texts(source_lengths);
    pass_over(inputs.source.unseen, source);
    std::vector<ZeroedAttention> of_source = {asked_of(Attention::source, request.source, source_lengths)};
    place(of_source.front().read, source);
    if (layout.rows() == 0 && of_source.front().read.empty()) return;
    const ZeroedPass pass =
        visit_zeroed_values(*encoder_, source, source_lengths, input_rows(inputs, Side::source, source, source_lengths),
                            nullptr, of_source, visit);
    rows += pass.rows;
    if (layout.rows() > 0) {
      keys = source_key_values(encoder_->final_states(pass.states), source);
      behind = behind_sources(layout, keys, own_sources(lengths.size()));
      pass_over(inputs.source.unseen, behind);
    }
  }
  if (layout.rows() > 0)
    rows += visit_zeroed_values(*decoder_, layout, lengths, input_rows(inputs, Side::target, layout, lengths),
                                encoder_ ? &behind : nullptr, asked, visit)
                .rows;
  if (rows == 0) return;
  ++counters_.forward_passes;
  counters_.forward_rows += rows;
}

std::vector<const StackConfig*> TransformerModel::stacks() const {
  std::vector<const StackConfig*> stacks;
  if (encoder_) stacks.push_back(&encoder_->config());
  stacks.push_back(&decoder_->config());
  return stacks;
}

void TransformerModel::check_rules(const std::vector<BackwardRule>& rules) const {
  transformer::check_rules(rules, stacks());
}

Work TransformerModel::work() const {
  return {counters_.forward_passes, counters_.backward_passes, counters_.forward_rows, counters_.head_rows,
          counters_.backward_rows};
}

const void* TransformerModel::query(std::string_view capability) const {
  if (capability == TensorUse::kCapability) return &tensor_use_;
  if (capability == UnreadSettings::kCapability) return &unread_settings_;
  if (capability == BlockDecomposition::kCapability) return static_cast<const BlockDecomposition*>(this);
  if (capability == BackwardRuleCheck::kCapability) return static_cast<const BackwardRuleCheck*>(this);
  if (capability == FinalStates::kCapability) return static_cast<const FinalStates*>(this);
  if (capability == ChatTemplate::kCapability) return chat_template_.get();
  if (capability == ValueZeroing::kCapability) return static_cast<const ValueZeroing*>(this);
  if (capability == Dropout::kCapability) return drops() ? this : nullptr;
  return nullptr;
}

}  // namespace whence::transformer
