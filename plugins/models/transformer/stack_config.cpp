#include "stack_config.h"

#include <cmath>

#include "whence/error.h"

namespace whence::transformer {
namespace {

constexpr std::int64_t kLargestSize = 1 << 24;
constexpr std::int64_t kMostLayers = 4096;
constexpr std::int64_t kMostPositions = std::int64_t{1} << 40;
constexpr double kLargest = 1e9;
constexpr double kMostDropped = 0.999;

/// The options of one stack.
class Reader {
 public:
  Reader(const Architecture& architecture, const HyperParameters& checkpoint, std::string stack)
      : architecture_(architecture), checkpoint_(checkpoint), stack_(std::move(stack)) {}

  Option get(std::string_view section, std::string_view name) const {
    return find_option(architecture_, checkpoint_, stack_, section, name);
  }
  bool has_section(std::string_view section) const {
    const Value* own = stack_.empty() ? nullptr : architecture_.options.find(stack_);
    return (own && own->find(section)) || architecture_.options.find(section);
  }
  Option require(std::string_view section, std::string_view name) const {
    Option option = get(section, name);
    if (!option.present()) option.fail("is missing; architecture " + architecture_.name + " needs it");
    return option;
  }
  std::int64_t size(std::string_view name, std::int64_t max = kLargestSize) const {
    return require("sizes", name).integer(1, max);
  }
  std::int64_t size_or(std::string_view name, std::int64_t fallback) const {
    return integer("sizes", name, 1, kLargestSize, fallback);
  }
  std::int64_t integer(std::string_view section, std::string_view name, std::int64_t min, std::int64_t max,
                       std::int64_t fallback) const {
    const Option option = get(section, name);
    return option.present() ? option.integer(min, max) : fallback;
  }
  double number(std::string_view section, std::string_view name, double fallback, double min = -kLargest) const {
    const Option option = get(section, name);
    return option.present() ? option.number(min, kLargest) : fallback;
  }
  bool flag(std::string_view section, std::string_view name, bool fallback = false) const {
    const Option option = get(section, name);
    return option.present() ? option.boolean() : fallback;
  }
  /// Index of the text in `names`.
  std::size_t choice(std::string_view section, std::string_view name, const char* kind,
                     const std::vector<std::string>& names, std::size_t fallback) const {
    const Option option = get(section, name);
    return option.present() ? option.choice(kind, names) : fallback;
  }
  /// true, false, or the word that stands for Presence::if_stored.
  Presence presence(std::string_view section, std::string_view name, const std::string& word,
                    Presence fallback = Presence::never) const {
    const Option option = get(section, name);
    if (!option.present()) return fallback;
    if (!option.value().is_string()) return option.boolean() ? Presence::always : Presence::never;
    option.choice("choice", {word});
    return Presence::if_stored;
  }
  /// A number, true or false for 1 and the square root of `size`, or the word "sqrt_hidden" for the latter.
  double scale(std::string_view name, std::int64_t size) const {
    const Option option = get("embedding", name);
    const double root = std::sqrt(static_cast<double>(size));
    if (!option.present()) return 1;
    if (option.value().is_bool()) return option.boolean() ? root : 1;
    if (!option.value().is_string()) return option.number(-kLargest, kLargest);
    option.choice("scale", {"sqrt_hidden"});
    return root;
  }

  const Architecture& architecture() const { return architecture_; }
  const HyperParameters& checkpoint() const { return checkpoint_; }
  const std::string& stack() const { return stack_; }

 private:
  const Architecture& architecture_;
  const HyperParameters& checkpoint_;
  std::string stack_;
};

void read_attention(const Reader& reader, StackConfig& config) {
  AttentionConfig& a = config.attention;
  a.heads = reader.size("heads");
  a.key_value_heads = reader.size_or("key_value_heads", a.heads);
  if (a.heads % a.key_value_heads != 0)
    reader.get("sizes", "key_value_heads")
        .fail("expected a divisor of the " + std::to_string(a.heads) + " heads, found " +
              std::to_string(a.key_value_heads));
  if (!reader.get("sizes", "head").present() && config.hidden % a.heads != 0)
    reader.get("sizes", "heads")
        .fail("expected a divisor of the hidden size " + std::to_string(config.hidden) + ", found " +
              std::to_string(a.heads));
  a.head_size = reader.size_or("head", config.hidden / a.heads);

  a.bias = reader.presence("attention", "bias", "if_stored");
  a.output_bias = reader.presence("attention", "output_bias", "if_stored");
  a.norm = static_cast<HeadNorm>(
      reader.choice("attention", "query_key_norm", "norm over heads", {"none", "each", "own", "all"}, 0));
  a.norm_kind = static_cast<NormKind>(reader.choice("attention", "query_key_norm_kind", "kind of norm",
                                                    {"rms", "layer"}, static_cast<std::size_t>(config.norm.kind)));
  a.norm_bias = reader.presence("attention", "query_key_norm_bias", "if_stored");
  a.scale = reader.flag("attention", "scaled", true) ? 1 / std::sqrt(static_cast<double>(a.head_size)) : 1;
  if (const Option inverse = reader.get("attention", "scale_inverse_square"); inverse.present())
    a.scale = 1 / std::sqrt(inverse.number(1e-9, kLargest));
  a.scale = reader.number("attention", "scale", a.scale);
  a.scale_by_layer = reader.flag("attention", "scale_by_layer");
  a.softcap = reader.number("attention", "softcap", 0, 0);
  a.clamp = reader.number("attention", "clamp", 0, 0);
  a.position_bias =
      static_cast<PositionBias>(reader.choice("attention", "position_bias", "bias of scores",
                                              {"none", "alibi", "alibi_rounded", "alibi_padded", "relative"}, 0));
  if (a.position_bias != PositionBias::relative) return;
  a.relative_buckets = reader.require("attention", "relative_buckets").integer(4, kLargestSize);
  a.relative_distance = reader.require("attention", "relative_distance").integer(1, kLargestSize);
  a.relative_in_every_layer = reader.flag("attention", "relative_in_every_layer");
  if (a.relative_distance <= a.relative_buckets / 2)
    reader.get("attention", "relative_distance")
        .fail("expected more than half of the " + std::to_string(a.relative_buckets) + " buckets, found " +
              std::to_string(a.relative_distance));
}

/// A list with an entry for each layer; entries of the form [[kind, ...], times] stand for so many repetitions.
Value::List layer_list(const Option& option, std::size_t layers) {
  Value::List result;
  if (option.value().is_list())
    for (const Value& entry : option.value().as_list()) {
      const bool repeats =
          entry.is_list() && entry.as_list().size() == 2 && entry.as_list()[0].is_list() && entry.as_list()[1].is_int();
      const Value::List kinds = repeats ? entry.as_list()[0].as_list() : Value::List{entry};
      const std::int64_t times = repeats ? entry.as_list()[1].as_int() : 1;
      for (std::int64_t i = 0; i < times && result.size() <= layers && !kinds.empty(); ++i)
        result.insert(result.end(), kinds.begin(), kinds.end());
    }
  if (result.size() != layers)
    option.fail("expected a list with one entry for each of the " + std::to_string(layers) + " layers");
  return result;
}

void read_windows(const Reader& reader, std::vector<LayerConfig>& layers) {
  const Option size = reader.get("window", "size");
  const std::int64_t window =
      reader.flag("window", "enabled", true) && size.present() ? size.integer(1, kMostPositions) : 0;
  const auto count = static_cast<std::int64_t>(layers.size());

  if (const Option kinds = reader.get("window", "layers"); kinds.present()) {
    const Value::List list = layer_list(kinds, layers.size());
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const Option kind(list[i], kinds.place() + ", entry " + std::to_string(i), kinds.key());
      const std::size_t found =
          kind.choice("kind of attention", {"full_attention", "global", "sliding_attention", "local"});
      if (found < 2) continue;
      if (window == 0) kind.fail("found '" + kind.text() + "', but no size of a window is given");
      layers[i].window = window;
    }
    return;
  }
  const std::int64_t first = reader.integer("window", "first_layer", 0, kMostPositions, 0);
  const std::int64_t full_every = reader.integer("window", "full_every", 1, kMostLayers, 0);
  for (std::int64_t i = first; i < count; ++i)
    if (full_every == 0 || (i + 1) % full_every != 0) layers[static_cast<std::size_t>(i)].window = window;
}

/// Rotary positions, and which layers have them.
void read_rotary(const Reader& reader, StackConfig& config, std::int64_t positions) {
  std::vector<LayerConfig>& layers = config.layers;
  if (!reader.has_section("rotary") || !reader.flag("rotary", "enabled", true)) {
    for (LayerConfig& layer : layers) layer.rotary = -1;
    return;
  }
  std::int64_t size = config.attention.head_size;
  if (const Option fraction = reader.get("rotary", "fraction"); fraction.present())
    size = static_cast<std::int64_t>(static_cast<double>(size) * fraction.number(0, 1));
  size = reader.integer("rotary", "size", 1, config.attention.head_size, size);
  if (size % 2 != 0 || size == 0) {
    Option cause = reader.get("rotary", "size");
    if (!cause.present()) cause = reader.get("rotary", "fraction");
    if (!cause.present()) cause = reader.get("sizes", "head");
    if (!cause.present()) cause = reader.get("sizes", "hidden");
    cause.fail("expected an even number of turned channels, found " + std::to_string(size));
  }
  config.rotary.push_back(
      read_rotary_config(reader.architecture(), reader.checkpoint(), reader.stack(), size, positions));
  if (const Option theta = reader.get("rotary", "window_theta"); theta.present()) {
    RotaryConfig plain;
    plain.size = size;
    plain.theta = theta.number(1, 1e15);
    plain.original_positions = static_cast<double>(positions);
    config.rotary.push_back(plain);
    for (LayerConfig& layer : layers) layer.rotary = layer.window > 0 ? 1 : 0;
  }
  if (const Option list = reader.get("rotary", "layers"); list.present()) {
    const auto flags = list.numbers();
    if (flags.size() != layers.size())
      list.fail("expected one entry for each of the " + std::to_string(layers.size()) + " layers, found " +
                std::to_string(flags.size()));
    for (std::size_t i = 0; i < layers.size(); ++i)
      if (flags[i] == 0) layers[i].rotary = -1;
  } else if (const Option every = reader.get("rotary", "skip_every"); every.present()) {
    const auto step = static_cast<std::size_t>(every.integer(1, kMostLayers));
    for (std::size_t i = step - 1; i < layers.size(); i += step) layers[i].rotary = -1;
  }
}

MlpConfig read_mlp(const Reader& reader, std::int64_t inner) {
  MlpConfig mlp;
  mlp.inner = inner;
  mlp.gated = reader.require("mlp", "kind").choice("kind of MLP", {"plain", "gated"}) == 1;
  mlp.activation = activation_of(reader.require("mlp", "activation").choice("activation", activation_names()));
  mlp.bias = reader.presence("mlp", "bias", "if_stored");
  return mlp;
}

void read_experts(const Reader& reader, StackConfig& config) {
  ExpertsConfig& e = config.experts;
  e.count = reader.integer("experts", "count", 0, 1 << 16, 0);
  if (e.count == 0) return;
  e.chosen = reader.require("experts", "chosen").integer(1, e.count);
  e.routing = static_cast<Routing>(reader.choice("experts", "routing", "routing", {"softmax_first", "top_first"}, 0));
  if (const Option norm = reader.get("experts", "normalise"); norm.present())
    e.normalise = norm.value().is_bool() ? (norm.boolean() ? 1 : 0) : norm.number(0, kLargest);
  e.output_scale = 1 - reader.number("experts", "output_dropout", 0, 0);
  e.each = config.mlp;
  e.each.inner = reader.integer("experts", "inner", 1, kLargestSize, config.mlp.inner);
  e.shared_inner = reader.integer("experts", "shared_inner", 0, kLargestSize, 0);
  e.shared_gate = reader.flag("experts", "shared_gate");
  if (const Option capacity = reader.get("experts", "capacity");
      capacity.present() && capacity.number(0, kLargest) != 1)
    capacity.fail("expected 1; experts that drop tokens make them depend on each other");
  const std::int64_t every = reader.integer("experts", "every", 0, kMostLayers, 1);
  for (std::size_t i = 0; i < config.layers.size(); ++i)
    config.layers[i].experts = every > 0 && (static_cast<std::int64_t>(i) + 1) % every == 0;
  if (const Option dense = reader.get("experts", "dense_layers"); dense.present())
    for (const double layer : dense.numbers())
      if (layer >= 0 && layer < static_cast<double>(config.layers.size()))
        config.layers[static_cast<std::size_t>(layer)].experts = false;
}

void read_stack(const Reader& reader, StackConfig& config) {
  config.layers.resize(static_cast<std::size_t>(reader.size("layers", kMostLayers)));
  config.hidden = reader.size("hidden");
  config.width = reader.size_or("width", config.hidden);
  config.vocabulary = reader.size_or("vocabulary", 0);
  const std::int64_t positions = reader.size("positions", kMostPositions);

  config.norm.kind = static_cast<NormKind>(reader.require("norm", "kind").choice("kind of norm", {"rms", "layer"}));
  config.norm.epsilon = reader.number("norm", "epsilon", config.norm.epsilon, 0);
  config.norm_gain = reader.presence("norm", "gain", "if_stored", Presence::always);
  config.norm_bias = reader.presence("norm", "bias", "if_stored");
  config.final_norm = reader.flag("norm", "final", true);
  config.block.parallel = reader.flag("block", "parallel");
  config.block.shared_norm = config.block.parallel && reader.flag("block", "shared_norm");
  config.block.stream_norms = !reader.flag("block", "norm_first", true);
  config.block.residual_from_norm = reader.flag("block", "residual_from_norm");
  config.block.input_norms =
      reader.flag("block", "input_norms", true) && !config.block.stream_norms && !config.block.residual_from_norm;
  config.block.branch_norms = reader.flag("block", "branch_norms");
  config.block.branch_scale = reader.number("block", "branch_scale", 1);
  if (config.block.parallel && !config.block.input_norms)
    reader.get("block", "parallel").fail("parallel branches go with norms in front of the branches alone");

  read_attention(reader, config);
  config.mlp = read_mlp(reader, reader.size_or("inner", 4 * config.hidden));
  read_windows(reader, config.layers);
  read_rotary(reader, config, positions);
  config.positions = config.rotary.empty() ? positions : context_length(config.rotary.front(), positions);
  read_experts(reader, config);

  config.position_embedding = static_cast<PositionEmbedding>(reader.choice(
      "embedding", "positions", "kind of positions", {"none", "learned", "sines_then_cosines", "sinusoid_pairs"}, 0));
  config.position_offset = reader.integer("embedding", "position_offset", 0, kLargestSize, 0);
  // Tables that keep a row for padding begin behind it.
  if (const Option padding = reader.get("embedding", "position_padding"); padding.present())
    config.position_offset = padding.integer(0, kLargestSize) + 1;
  config.embedding_scale = reader.scale("scale", config.hidden);
  config.input_scale = reader.scale("input_scale", config.hidden);
  config.embedding_norm = reader.flag("embedding", "norm");
  const auto dropped = [&](std::string_view name) {
    const Option option = reader.get("dropout", name);
    return option.present() ? option.number(0, kMostDropped) : 0;
  };
  config.dropout = {dropped("embedding"), dropped("attention"), dropped("branch"), dropped("inner"), dropped("output")};
}

}  // namespace

TransformerConfig read_transformer_config(const Architecture& architecture, const HyperParameters& checkpoint) {
  check_requirements(architecture, checkpoint);
  const bool both = architecture.kind == ModelKind::encoder_decoder;
  TransformerConfig result;
  if (both) read_stack(Reader(architecture, checkpoint, "encoder"), result.encoder.emplace());
  const Reader reader(architecture, checkpoint, both ? "decoder" : "");
  DecoderConfig& decoder = result.decoder;
  read_stack(reader, decoder);
  const Presence tied = reader.presence("head", "tied", "if_head_absent");
  decoder.own_head = tied == Presence::always  ? Presence::never
                     : tied == Presence::never ? Presence::always
                                               : Presence::if_stored;
  decoder.head_bias = reader.presence("head", "bias", "if_stored");
  decoder.logit_scale = reader.number("head", "scale", 1) / reader.number("head", "divisor", 1, 1e-9);
  if (reader.flag("head", "scaled_by_width")) decoder.logit_scale /= std::sqrt(static_cast<double>(decoder.hidden));
  decoder.logit_softcap = reader.number("head", "softcap", 0, 0);
  return result;
}

}  // namespace whence::transformer
