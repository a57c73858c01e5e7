#include "decoder_config.h"

#include "whence/error.h"

namespace whence::transformer {
namespace {

constexpr std::int64_t kLargestSize = 1 << 24;
constexpr std::int64_t kMostLayers = 4096;
constexpr std::int64_t kMostPositions = std::int64_t{1} << 40;

class Reader {
 public:
  Reader(const Architecture& architecture, const HyperParameters& checkpoint)
      : architecture_(architecture), checkpoint_(checkpoint) {}

  Option get(std::string_view section, std::string_view name) const {
    return find_option(architecture_, checkpoint_, section, name);
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
    const Option option = get("sizes", name);
    return option.present() ? option.integer(1, kLargestSize) : fallback;
  }
  /// true, false, or the word that stands for Presence::if_stored.
  Presence presence(std::string_view section, std::string_view name, const std::string& word) const {
    const Option option = get(section, name);
    if (!option.present()) return Presence::never;
    if (!option.value().is_string()) return option.boolean() ? Presence::always : Presence::never;
    option.choice("choice", {word});
    return Presence::if_stored;
  }

 private:
  const Architecture& architecture_;
  const HyperParameters& checkpoint_;
};

void read_windows(const Reader& reader, std::vector<LayerConfig>& layers) {
  const Option enabled = reader.get("window", "enabled");
  const bool use = !enabled.present() || enabled.boolean();
  const Option size = reader.get("window", "size");
  const std::int64_t window = use && size.present() ? size.integer(1, kMostPositions) : 0;
  const auto count = static_cast<std::int64_t>(layers.size());

  if (const Option kinds = reader.get("window", "layers"); kinds.present()) {
    if (!kinds.value().is_list() || static_cast<std::int64_t>(kinds.value().as_list().size()) != count)
      kinds.fail("expected a list with one entry for each of the " + std::to_string(count) + " layers");
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const Option kind(kinds.value().as_list()[i], kinds.place() + ", entry " + std::to_string(i), true);
      if (kind.choice("kind of attention", {"full_attention", "sliding_attention"}) == 0) continue;
      if (window == 0) kind.fail("found 'sliding_attention', but no size of a window is given");
      layers[i].window = window;
    }
    return;
  }
  const Option first = reader.get("window", "first_layer");
  const std::int64_t from = first.present() ? first.integer(0, kMostPositions) : 0;
  for (std::int64_t i = from; i < count; ++i) layers[i].window = window;
}

void read_rotary_layers(const Reader& reader, std::vector<LayerConfig>& layers) {
  if (const Option list = reader.get("rotary", "layers"); list.present()) {
    const auto flags = list.numbers();
    if (flags.size() != layers.size())
      list.fail("expected one entry for each of the " + std::to_string(layers.size()) + " layers, found " +
                std::to_string(flags.size()));
    for (std::size_t i = 0; i < layers.size(); ++i) layers[i].rotary = flags[i] != 0;
  } else if (const Option every = reader.get("rotary", "skip_every"); every.present()) {
    const auto step = static_cast<std::size_t>(every.integer(1, kMostLayers));
    for (std::size_t i = step - 1; i < layers.size(); i += step) layers[i].rotary = false;
  }
}

}  // namespace

DecoderConfig read_decoder_config(const Architecture& architecture, const HyperParameters& checkpoint) {
  const Reader reader(architecture, checkpoint);
  check_requirements(architecture, checkpoint);
  DecoderConfig result;
  result.layers.resize(static_cast<std::size_t>(reader.size("layers", kMostLayers)));
  result.hidden = reader.size("hidden");
  result.heads = reader.size("heads");
  result.key_value_heads = reader.size_or("key_value_heads", result.heads);
  if (result.heads % result.key_value_heads != 0)
    reader.get("sizes", "key_value_heads")
        .fail("expected a divisor of the " + std::to_string(result.heads) + " heads, found " +
              std::to_string(result.key_value_heads));
  if (!reader.get("sizes", "head").present() && result.hidden % result.heads != 0)
    reader.get("sizes", "heads")
        .fail("expected a divisor of the hidden size " + std::to_string(result.hidden) + ", found " +
              std::to_string(result.heads));
  result.head_size = reader.size_or("head", result.hidden / result.heads);
  if (result.head_size % 2 != 0)
    reader.get("sizes", "head").fail("expected an even number, found " + std::to_string(result.head_size));
  result.inner = reader.size("inner");
  result.vocabulary = reader.size_or("vocabulary", 0);
  const std::int64_t positions = reader.size("positions", kMostPositions);

  reader.require("norm", "kind").choice("kind of norm", {"rms"});
  if (const Option epsilon = reader.get("norm", "epsilon"); epsilon.present())
    result.norm_epsilon = epsilon.number(0, 1);
  result.attention_bias = reader.presence("attention", "bias", "if_stored");
  result.output_bias = reader.presence("attention", "output_bias", "if_stored");
  if (const Option norm = reader.get("attention", "query_key_norm"); norm.present())
    result.query_key_norm = norm.boolean();
  reader.require("mlp", "kind").choice("kind of MLP", {"gated"});
  result.activation = activation_of(reader.require("mlp", "activation").choice("activation", activation_names()));
  result.mlp_bias = reader.presence("mlp", "bias", "if_stored");
  const Presence tied = reader.presence("head", "tied", "if_head_absent");
  result.own_head = tied == Presence::always  ? Presence::never
                    : tied == Presence::never ? Presence::always
                                              : Presence::if_stored;

  result.rotary = read_rotary_config(architecture, checkpoint, result.head_size, positions);
  result.positions = context_length(result.rotary, positions);
  read_windows(reader, result.layers);
  read_rotary_layers(reader, result.layers);
  return result;
}

}  // namespace whence::transformer
