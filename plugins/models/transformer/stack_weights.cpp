#include "stack_weights.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "linear.h"
#include "whence/error.h"

namespace whence::transformer {
namespace {

/// Divisors of the rotary frequencies that GGUF files of Llama 3 carry instead of the numbers they come from.
constexpr const char* kRotaryDivisors = "rope_freqs.weight";
/// The same of models with two sets, for short and for long texts.
constexpr const char* kShortDivisors = "rope_factors_short.weight";
constexpr const char* kLongDivisors = "rope_factors_long.weight";

/// One projection with the outputs of all, one after another.
Projection stacked(const std::vector<Projection>& projections) {
  Projection result;
  bool biased = false;
  for (const Projection& projection : projections) biased = biased || projection.bias.defined();
  std::vector<Tensor> biases;
  for (const Projection& projection : projections) {
    result.parts.insert(result.parts.end(), projection.parts.begin(), projection.parts.end());
    if (biased) biases.push_back(projection.bias.defined() ? projection.bias : at::zeros({projection.out()}));
  }
  if (biased) result.bias = at::cat(biases);
  return result;
}

Tensor chosen(const Tensor& numbers, const std::vector<std::int64_t>& which) {
  return numbers.index_select(0, at::tensor(which, at::kLong));
}

/// Some outputs of a projection of one part.
Projection outputs(const Projection& projection, const std::vector<std::int64_t>& which) {
  Projection result;
  result.parts.push_back(projection.parts.front().rows(which));
  if (projection.bias.defined()) result.bias = chosen(projection.bias, which);
  return result;
}

std::vector<std::int64_t> range(std::int64_t first, std::int64_t count) {
  std::vector<std::int64_t> result;
  for (std::int64_t i = 0; i < count; ++i) result.push_back(first + i);
  return result;
}

/// Reads the weights of one stack.
class StackReader {
 public:
  StackReader(const StackConfig& config, WeightReader& reader, std::string_view stack)
      : c_(config), reader_(reader), stack_(stack) {}

  StackWeights read(bool crosses) {
    StackWeights result{embedding(), {}, {}, {}, {}, {}, {}};
    if (c_.width != c_.hidden)
      result.project_in = reader_.take_projection(at("project_in"), c_.hidden, c_.width, Presence::never);
    if (c_.position_embedding == PositionEmbedding::learned) {
      result.positions =
          reader_.take_matrix(reader_.name(at("positions")), c_.positions + c_.position_offset, c_.hidden);
    }
    if (c_.embedding_norm) result.embedding_norm = norm(at("embedding_norm"));
    for (std::int64_t i = 0; i < std::ssize(c_.layers); ++i) {
      layer_ = i;
      result.blocks.push_back(block(crosses));
    }
    if (c_.final_norm) result.final_norm = norm(at("final_norm"));
    for (const RotaryConfig& rotary : c_.rotary) result.rotary.push_back(this->rotary(rotary));
    return result;
  }

 private:
  WeightPlace at(std::string_view role, std::int64_t expert = 0) const { return {stack_, role, layer_, expert}; }

  StoredMatrix embedding() { return reader_.take_matrix(reader_.name(at("embedding")), c_.vocabulary, c_.width); }

  Tensor gain(const std::string& tensor, std::int64_t size) {
    const double offset = reader_.names().gain_offset;
    const Tensor stored = reader_.take_flat(tensor, size);
    return offset == 0 ? stored : stored + offset;
  }

  /// A norm over rows with its gain and bias.
  Norm norm(const WeightPlace& place) {
    Norm result = c_.norm;
    const auto wanted = [&](Presence presence, const char* suffix) {
      return presence == Presence::always || (presence == Presence::if_stored && reader_.has(place, suffix));
    };
    if (wanted(c_.norm_gain, ".weight")) result.gain = gain(reader_.name(place), c_.hidden);
    if (wanted(c_.norm_bias, ".bias")) result.bias = reader_.take(reader_.name(place, ".bias"), {c_.hidden});
    return result;
  }

  /// The norms around a branch. The gain of what is given back is that of the norm in front of it, and no longer part
  /// of the norm: it goes into the projections that read what is normed.
  BranchNorms norms(std::string_view role, std::string_view after, Tensor& input_gain) {
    BranchNorms result;
    if (c_.block.stream_norms) result.after = norm(at(role));
    if (c_.block.residual_from_norm) result.before = norm(at(role));
    if (c_.block.input_norms) {
      result.input = norm(at(role));
      if (!result.input->bias.defined()) std::swap(input_gain, result.input->gain);
    }
    if (c_.block.branch_norms) result.branch = norm(at(after));
    return result;
  }

  /// Row of the stored order for every channel of some heads: rotary pairs (2i, 2i + 1) become (i, i + size / 2).
  std::vector<std::int64_t> turned_order(std::int64_t heads) const {
    const std::int64_t head = c_.attention.head_size;
    const std::int64_t size = reader_.names().interleaved_rotary && !c_.rotary.empty() ? c_.rotary.front().size : 0;
    std::vector<std::int64_t> result;
    for (std::int64_t h = 0; h < heads; ++h)
      for (std::int64_t i = 0; i < head; ++i)
        result.push_back(h * head + (i >= size ? i : i < size / 2 ? 2 * i : 2 * (i - size / 2) + 1));
    return result;
  }

  /// First row of every head of queries, keys and values in a fused projection.
  std::vector<std::int64_t> fused_heads() const {
    const std::int64_t heads = c_.attention.heads, groups = c_.attention.key_value_heads;
    const std::int64_t sharing = heads / groups, quarter = heads / 4;
    std::vector<std::int64_t> queries, keys, values;
    switch (reader_.names().layout) {
      case FusedLayout::stacked:
        return range(0, heads + 2 * groups);
      case FusedLayout::grouped:
        for (std::int64_t h = 0; h < heads; ++h) queries.push_back(h / sharing * (sharing + 2) + h % sharing);
        for (std::int64_t g = 0; g < groups; ++g) {
          keys.push_back(g * (sharing + 2) + sharing);
          values.push_back(g * (sharing + 2) + sharing + 1);
        }
        break;
      case FusedLayout::four_qvk:
        if (heads % 4 != 0 || groups != heads)
          throw ModelError(reader_.name(at("query_key_value")) +
                           ": its layout 'four_qvk' goes with a multiple of 4 heads, each with a key; found " +
                           std::to_string(heads) + " heads and " + std::to_string(groups) + " keys");
        for (std::int64_t h = 0; h < heads; ++h) {
          const std::int64_t first = h / quarter * 3 * quarter + h % quarter;
          queries.push_back(first);
          values.push_back(first + quarter);
          keys.push_back(first + 2 * quarter);
        }
        break;
    }
    queries.insert(queries.end(), keys.begin(), keys.end());
    queries.insert(queries.end(), values.begin(), values.end());
    return queries;
  }

  Projection query_key_value() {
    const AttentionConfig& a = c_.attention;
    const std::int64_t queries = a.heads * a.head_size, keys = a.key_value_heads * a.head_size;
    const bool turned = reader_.names().interleaved_rotary;
    // Where both are named, checkpoints have either.
    if (!reader_.named(at("query_key_value")) || (reader_.named(at("query")) && reader_.has(at("query")))) {
      Projection query = reader_.take_projection(at("query"), queries, c_.hidden, a.bias);
      Projection key = reader_.take_projection(at("key"), keys, c_.hidden, a.bias);
      if (turned) {
        query = outputs(query, turned_order(a.heads));
        key = outputs(key, turned_order(a.key_value_heads));
      }
      return stacked({query, key, reader_.take_projection(at("value"), keys, c_.hidden, a.bias)});
    }
    const Projection fused = reader_.take_projection(at("query_key_value"), queries + 2 * keys, c_.hidden, a.bias);
    if (reader_.names().layout == FusedLayout::stacked && !turned) return fused;
    std::vector<std::int64_t> order = turned_order(a.heads + a.key_value_heads), which;
    const auto values = range(queries + keys, keys);
    order.insert(order.end(), values.begin(), values.end());
    const auto heads = fused_heads();
    for (const std::int64_t channel : order)
      which.push_back(heads[static_cast<std::size_t>(channel / a.head_size)] * a.head_size + channel % a.head_size);
    return outputs(fused, which);
  }

  /// A norm over heads of queries or keys, with gain and bias for every channel of all of them.
  Norm head_norm(std::string_view role, std::int64_t heads) {
    const AttentionConfig& a = c_.attention;
    Norm result{a.norm_kind, c_.norm.epsilon, {}, {}};
    const auto spread = [&](const char* suffix) {
      Tensor all;
      if (reader_.one_each(at(role))) {
        std::vector<Tensor> each;
        for (std::int64_t h = 0; h < heads; ++h)
          each.push_back(reader_.take(reader_.name(at(role, h), suffix), {a.head_size}));
        all = at::cat(each);
      } else {
        const bool one = a.norm == HeadNorm::each;
        all = reader_.take_flat(reader_.name(at(role), suffix), one ? a.head_size : heads * a.head_size);
        if (one) all = all.repeat({heads});
      }
      return chosen(all, turned_order(heads));
    };
    result.gain = spread(".weight");
    if (const double offset = reader_.names().gain_offset; offset != 0) result.gain = result.gain + offset;
    if (a.norm_bias == Presence::always || (a.norm_bias == Presence::if_stored && reader_.has(at(role), ".bias")))
      result.bias = spread(".bias");
    return result;
  }

  MlpWeights mlp(const MlpConfig& mlp, const Tensor& gain) {
    MlpWeights result;
    if (reader_.named(at("gate_up")) && mlp.gated) {
      const Projection both = reader_.take_projection(at("gate_up"), 2 * mlp.inner, c_.hidden, mlp.bias);
      result.gate = outputs(both, range(0, mlp.inner));
      result.up = outputs(both, range(mlp.inner, mlp.inner));
    } else {
      if (mlp.gated) result.gate = reader_.take_projection(at("gate"), mlp.inner, c_.hidden, mlp.bias);
      result.up = reader_.take_projection(at("up"), mlp.inner, c_.hidden, mlp.bias);
    }
    if (result.gate) result.gate->gain = gain;
    result.up.gain = gain;
    result.down = reader_.take_projection(at("down"), c_.hidden, mlp.inner, mlp.bias);
    return result;
  }

  /// A projection of one expert, which has a tensor of its own or a part of one.
  Projection of_expert(std::string_view role, std::int64_t expert, std::int64_t out, std::int64_t in, Presence bias) {
    const WeightPlace place = at(role, expert);
    if (reader_.one_each(place)) return reader_.take_projection(place, out, in, bias);
    const bool transposed = reader_.names().transposed.contains(role);
    const std::int64_t rows = transposed ? in : out;
    const StoredMatrix all = reader_.take_stack(reader_.name(place), c_.experts.count, rows, transposed ? out : in);
    const StoredMatrix own = all.rows(expert * rows, rows);
    Projection result;
    result.parts.push_back(transposed ? own.transposed() : own);
    return result;
  }

  ExpertsWeights experts(const Tensor& gain) {
    const ExpertsConfig& e = c_.experts;
    const Presence bias = e.each.bias;
    ExpertsWeights result;
    result.router = reader_.take_projection(at("router"), e.count, c_.hidden, Presence::never);
    result.router.gain = gain;
    for (std::int64_t i = 0; i < e.count; ++i) {
      MlpWeights& own = result.experts.emplace_back();
      if (reader_.named(at("expert_gate_up"))) {
        const Projection both = of_expert("expert_gate_up", i, 2 * e.each.inner, c_.hidden, bias);
        own.gate = outputs(both, range(0, e.each.inner));
        own.up = outputs(both, range(e.each.inner, e.each.inner));
      } else {
        if (e.each.gated) own.gate = of_expert("expert_gate", i, e.each.inner, c_.hidden, bias);
        own.up = of_expert("expert_up", i, e.each.inner, c_.hidden, bias);
      }
      if (own.gate) own.gate->gain = gain;
      own.up.gain = gain;
      own.down = of_expert("expert_down", i, c_.hidden, e.each.inner, bias);
    }
    if (e.shared_inner == 0) return result;
    MlpWeights& shared = result.shared.emplace();
    if (e.each.gated) shared.gate = reader_.take_projection(at("shared_expert_gate"), e.shared_inner, c_.hidden, bias);
    shared.up = reader_.take_projection(at("shared_expert_up"), e.shared_inner, c_.hidden, bias);
    shared.down = reader_.take_projection(at("shared_expert_down"), c_.hidden, e.shared_inner, bias);
    if (shared.gate) shared.gate->gain = gain;
    shared.up.gain = gain;
    if (e.shared_gate) {
      result.shared_gate = reader_.take_projection(at("shared_gate"), 1, c_.hidden, Presence::never);
      result.shared_gate->gain = gain;
    }
    return result;
  }

  BlockWeights block(bool crosses) {
    const AttentionConfig& a = c_.attention;
    const std::int64_t queries = a.heads * a.head_size, keys = a.key_value_heads * a.head_size;
    BlockWeights result;
    Tensor attention_gain, cross_gain, mlp_gain;
    result.attention_norms = norms("attention_norm", "attention_after", attention_gain);
    result.attention.query_key_value = query_key_value();
    result.attention.query_key_value.gain = attention_gain;
    result.attention.output = reader_.take_projection(at("attention_output"), c_.hidden, queries, a.output_bias);
    if (a.norm != HeadNorm::none) {
      result.attention.query_norm = head_norm("query_norm", a.heads);
      result.attention.key_norm = head_norm("key_norm", a.key_value_heads);
    }
    if (a.position_bias == PositionBias::relative && (layer_ == 0 || a.relative_in_every_layer))
      result.attention.relative_bias =
          reader_.take(reader_.name(at("relative_bias")), {a.relative_buckets, a.heads}).t().contiguous();
    if (crosses) {
      result.cross_norms = norms("cross_norm", "cross_after", cross_gain);
      CrossWeights& cross = result.cross.emplace();
      cross.query = reader_.take_projection(at("cross_query"), queries, c_.hidden, a.bias);
      cross.query.gain = cross_gain;
      cross.key_value = stacked({reader_.take_projection(at("cross_key"), keys, c_.hidden, a.bias),
                                 reader_.take_projection(at("cross_value"), keys, c_.hidden, a.bias)});
      cross.output = reader_.take_projection(at("cross_output"), c_.hidden, queries, a.output_bias);
    }
    // Parallel branches may read the same normed rows.
    result.mlp_norms = norms(c_.block.shared_norm ? "attention_norm" : "mlp_norm", "mlp_after", mlp_gain);
    if (c_.layers[static_cast<std::size_t>(layer_)].experts)
      result.experts = experts(mlp_gain);
    else
      result.mlp = mlp(c_.mlp, mlp_gain);
    return result;
  }

  Rotary rotary(RotaryConfig rotary) {
    const auto numbers = [&](const char* name) {
      const Tensor stored = reader_.take(name, {rotary.size / 2}).to(at::kDouble);
      return std::vector<double>(stored.const_data_ptr<double>(), stored.const_data_ptr<double>() + stored.numel());
    };
    if (reader_.has(kShortDivisors) && reader_.has(kLongDivisors)) {
      rotary.scaling = RotaryScaling::longrope;
      rotary.short_divisors = numbers(kShortDivisors);
      rotary.long_divisors = numbers(kLongDivisors);
    }
    Tensor divisors;
    if (reader_.has(kRotaryDivisors)) divisors = reader_.take(kRotaryDivisors, {rotary.size / 2});
    return Rotary(std::move(rotary), divisors);
  }

  const StackConfig& c_;
  WeightReader& reader_;
  std::string_view stack_;
  std::int64_t layer_ = 0;
};

/// Numbers of the matrices of one block, of the widest in a stack.
std::int64_t block_numbers(const StackConfig& c, bool crosses) {
  const AttentionConfig& a = c.attention;
  const std::int64_t attention = c.hidden * (2 * a.heads + 2 * a.key_value_heads) * a.head_size;
  const auto mlp = [&](const MlpConfig& one) { return (one.gated ? 3 : 2) * c.hidden * one.inner; };
  MlpConfig shared = c.experts.each;
  shared.inner = c.experts.shared_inner;
  std::int64_t widest = 0;
  for (const LayerConfig& layer : c.layers)
    widest =
        std::max(widest, layer.experts ? c.experts.count * (mlp(c.experts.each) + c.hidden) + mlp(shared) : mlp(c.mlp));
  return (crosses ? 2 : 1) * attention + widest;
}

}  // namespace

TransformerWeights read_transformer_weights(TransformerConfig& config, WeightReader& reader) {
  const auto vocabulary = [&](StackConfig& stack, std::string_view name) {
    if (stack.vocabulary == 0) stack.vocabulary = reader.rows(reader.name({name, "embedding"}));
  };
  DecoderConfig& decoder = config.decoder;
  const std::string_view name = config.encoder ? "decoder" : "";
  std::optional<StackWeights> encoder;
  if (config.encoder) {
    vocabulary(*config.encoder, "encoder");
    encoder = StackReader(*config.encoder, reader, "encoder").read(false);
  }
  vocabulary(decoder, name);
  TransformerWeights result{std::move(encoder),
                            {StackReader(decoder, reader, name).read(config.encoder.has_value()), {}, {}}};
  DecoderWeights& weights = result.decoder;
  if (decoder.width != decoder.hidden)
    weights.project_out = reader.take_projection({name, "project_out"}, decoder.width, decoder.hidden, Presence::never);
  const WeightPlace head{name, "head"};
  const bool own = decoder.own_head == Presence::always ||
                   (decoder.own_head == Presence::if_stored && reader.named(head) && reader.has(head));
  weights.head.parts.push_back(own ? reader.take_matrix(reader.name(head), decoder.vocabulary, decoder.width)
                                   : weights.stack.embedding);
  // A bias of the head may be a tensor of its own.
  const WeightPlace apart{name, "head_bias"};
  const bool has_apart = reader.named(apart);
  const std::string bias = has_apart ? reader.name(apart, "") : reader.named(head) ? reader.name(head, ".bias") : "";
  if (decoder.head_bias == Presence::always || (decoder.head_bias == Presence::if_stored && reader.has(bias)))
    weights.head.bias = reader.take_flat(bias, decoder.vocabulary);
  return result;
}

WeightBytes weight_bytes(const TransformerConfig& config, const WeightPolicy& policy) {
  const auto bytes = [](Precision precision) -> std::int64_t { return precision == Precision::full ? 4 : 2; };
  const std::int64_t both = bytes(policy.forward) + bytes(policy.backward);
  const DecoderConfig& decoder = config.decoder;
  const std::int64_t block = block_numbers(decoder, config.encoder.has_value());
  const std::int64_t of_encoder = config.encoder ? block_numbers(*config.encoder, false) : 0;
  const std::int64_t head = decoder.vocabulary * decoder.width;
  if (policy.resident) {
    const std::int64_t encoder = config.encoder ? of_encoder * std::ssize(config.encoder->layers) : 0;
    return {both * (block * std::ssize(decoder.layers) + encoder + head), 0};
  }
  return {0, both * (std::max(block, of_encoder) + std::min(head, Linear<float>::kSlice * decoder.width))};
}

}  // namespace whence::transformer
